package sim

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Credential is what a device needs to connect.
type Credential struct {
	LockID   int64  `json:"lockId"`
	LockUUID string `json:"lockUuid"`
	Secret   string `json:"secret"`
}

// DeviceOptions say how devices are built and where they connect to.
type DeviceOptions struct {
	// Servers are the base URLs (http, https, ws or wss) of the nodes. A device that fails at one tries the next.
	Servers []string
	TLS     *tls.Config // for https and wss; nil: the system's roots
	Backoff Backoff
	Motor   MotorOptions
	// BootTime is how long a reboot takes. 0: 500 ms.
	BootTime time.Duration
	// EventsEvery is the least time between two Events calls; what happens meanwhile is sent together, which keeps a
	// busy lock under the server's limit of frames. 0: 250 ms.
	EventsEvery time.Duration
	Firmware    string // version that Hello names; empty: "sim-1.0.0"
	Battery     int    // per cent at the start; 0: 100

	Drift  Drift
	Faults Faults
	Flash  *Flash // nil: an empty one, in memory

	Recorder *Recorder    // nil: one of its own
	Stats    *Stats       // nil: of its own
	Logger   *slog.Logger // nil: no logs
}

func (o *DeviceOptions) validate() error {
	o.Backoff = o.Backoff.withDefaults()
	orDefault(&o.BootTime, 500*time.Millisecond)
	orDefault(&o.EventsEvery, 250*time.Millisecond)
	orDefault(&o.Firmware, "sim-1.0.0")
	orDefault(&o.Battery, batteryFull)
	if o.Recorder == nil {
		o.Recorder = NewRecorder(nil)
	}
	if o.Stats == nil {
		o.Stats = new(Stats)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if len(o.Servers) == 0 {
		return errors.New("sim: no server to connect to")
	}
	servers := make([]string, len(o.Servers))
	for i, s := range o.Servers {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http") && !strings.HasPrefix(u.Scheme, "ws") {
			return fmt.Errorf("sim: %q is no server URL; give one such as http://127.0.0.1:8080", s)
		}
		u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
		servers[i] = strings.TrimSuffix(u.String(), "/")
	}
	o.Servers = servers
	if o.Battery < 1 || o.Battery > batteryFull {
		return fmt.Errorf("sim: a battery of %d per cent", o.Battery)
	}
	if o.Drift.Offset < 0 {
		return errors.New("sim: the offset of a clock must not be negative")
	}
	if err := o.Motor.validate(); err != nil {
		return err
	}
	return o.Faults.validate()
}

// Device is one simulated lock. Its methods are safe for concurrent use.
type Device struct {
	cred   Credential
	opts   *DeviceOptions // shared by a fleet, not changed after the start
	dialer *websocket.Dialer
	wg     sync.WaitGroup // the goroutines that read sockets

	mu     sync.Mutex // guards what follows
	ctx    context.Context
	cancel context.CancelFunc
	flash  *Flash
	drift  Drift
	bootID string
	clock  bootClock
	bolt   string
	door   string
	charge int // of the battery, in hundredths of a per cent
	motor  motor
	calls  uint64 // numbers the calls

	conn       *conn   // the present session; nil: offline
	session    string  // its name; empty: none
	epoch      uint64  // the highest of its commands that was obeyed, from that of the answer to Hello on
	sockets    []*conn // all that are open, also old ones that were left half-open
	dialing    bool
	met        bool      // it has had a session before
	attempt    int       // of connecting, for the backoff
	loose      time.Time // when the last socket was opened that has not ended by the server's word
	replaced   time.Time // when another socket took over last
	server     int       // the index of the server to try
	retry      *time.Timer
	beat       *time.Timer
	flush      *time.Timer
	changed    chan struct{} // closed when the session comes or goes; nil: nobody waits
	faults     Faults
	faultGen   int
	accidents  []*time.Timer
	armed      RebootPoint // of the next open
	armedLoses bool
}

// NewDevice makes a device that is switched off.
func NewDevice(cred Credential, o DeviceOptions) (*Device, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	flash := o.Flash
	if flash == nil {
		flash = NewFlash()
	}
	return newDevice(cred, &o, newDialer(&o), flash, o.Drift), nil
}

func newDevice(cred Credential, o *DeviceOptions, dialer *websocket.Dialer, flash *Flash, drift Drift) *Device {
	return &Device{
		cred: cred, opts: o, dialer: dialer, flash: flash, drift: drift,
		bolt: boltLocked, door: doorClosed, charge: 100 * o.Battery, faults: o.Faults,
	}
}

// Start switches the device on: it boots and connects, again and again, until Stop. A device is started once.
func (d *Device) Start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.boot()
	d.setFaults(d.faults)
	d.retryAfter(0)
}

// Stop switches the device off and waits for its goroutines.
func (d *Device) Stop() {
	d.off()
	d.wg.Wait()
}

// off switches the device off without waiting.
func (d *Device) off() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel == nil {
		return
	}
	d.cancel()
	for _, c := range d.sockets {
		c.kill(false)
	}
	stopTimers(d.accidents...)
	stopTimers(d.retry, d.beat, d.flush, d.motor.relock, d.motor.door)
}

// boot starts the clock and takes another boot ID. The caller holds d.mu.
func (d *Device) boot() {
	var id [6]byte
	_, _ = rand.Read(id[:])
	d.bootID = "b" + hex.EncodeToString(id[:])
	d.clock = bootClock{booted: time.Now(), drift: d.drift}
}

// Credential is what the device connects with.
func (d *Device) Credential() Credential { return d.cred }

// Session is the name of the device's session, and empty while it has none.
func (d *Device) Session() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.session
}

// Connected tells whether the device has a session.
func (d *Device) Connected() bool { return d.Session() != "" }

// BootID changes with each boot.
func (d *Device) BootID() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bootID
}

// Mono is what the device's clock shows: milliseconds since the boot.
func (d *Device) Mono() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mono()
}

// Bolt is locked or unlocked, Door is open or closed.
func (d *Device) Bolt() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bolt
}

// Movements are those of this device's motor, oldest first.
func (d *Device) Movements() []Movement {
	var mine []Movement
	for _, m := range d.opts.Recorder.Movements() {
		if m.LockUUID == d.cred.LockUUID {
			mine = append(mine, m)
		}
	}
	return mine
}

// Config is the number of the configuration that is in force; 0: the device is as it was made.
func (d *Device) Config() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flash.config.Config
}

// WaitSession waits until the device has a session other than the one named, and returns its name.
// With an empty name any session will do.
func (d *Device) WaitSession(ctx context.Context, other string) (string, error) {
	for {
		d.mu.Lock()
		session := d.session
		if d.changed == nil {
			d.changed = make(chan struct{})
		}
		changed := d.changed
		d.mu.Unlock()
		if session != "" && session != other {
			return session, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("sim: wait for a session of lock %d: %w", d.cred.LockID, ctx.Err())
		}
	}
}

// mono reads the clock. The caller holds d.mu.
func (d *Device) mono() int64 { return d.clock.mono(time.Now()) }

// flashFailed logs that the flash could not be written. An open is refused when that happens; the rest goes on.
func (d *Device) flashFailed(err error) {
	if err != nil {
		d.opts.Logger.Error("flash could not be written", "lock", d.cred.LockID, "error", err)
	}
}
