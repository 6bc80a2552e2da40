package sim

import (
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/latchkey/latchkey/transport/wire"
)

// errOffline says that an accident needs a socket, and there is none.
var errOffline = errors.New("sim: the device has no session")

// valve lets frames pass, or makes them wait.
type valve struct {
	mu   sync.Mutex
	shut chan struct{} // nil: open; closed when it opens
}

func (v *valve) set(shut bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case shut && v.shut == nil:
		v.shut = make(chan struct{})
	case !shut && v.shut != nil:
		close(v.shut)
		v.shut = nil
	}
}

// wait returns once the valve is open; false when done came first.
func (v *valve) wait(done <-chan struct{}) bool {
	for {
		v.mu.Lock()
		shut := v.shut
		v.mu.Unlock()
		if shut == nil {
			return true
		}
		select {
		case <-shut:
		case <-done:
			return false
		}
	}
}

func (v *valve) isShut() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.shut != nil
}

// DropSocket closes the device's socket without a word. It reports whether there was one.
func (d *Device) DropSocket() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == nil {
		return false
	}
	d.conn.kill(false)
	return true
}

// HalfOpen makes the device neither read nor write on its present socket, which stays open, until it heals: after the
// duration, or with Heal if that is 0. What arrived meanwhile is read then. A device that misses its heartbeats'
// answers meanwhile connects anew, and still reads the old socket afterwards. It reports whether there was a socket.
func (d *Device) HalfOpen(heal time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.conn
	if c == nil {
		return false
	}
	c.frozen.set(true)
	if heal > 0 {
		time.AfterFunc(heal, func() { c.frozen.set(false) })
	}
	return true
}

// Heal heals all sockets of the device that are half-open.
func (d *Device) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.sockets {
		c.frozen.set(false)
	}
}

// Reboot restarts the firmware: another boot ID, a clock that starts over, and a flash that is kept or lost.
func (d *Device) Reboot(loseJournal bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reboot(loseJournal)
}

// reboot restarts the firmware. A device that has lost its power sends no more on its socket: the other side sees a
// reset when it next writes, which is here brought forward. The caller holds d.mu.
func (d *Device) reboot(loseJournal bool) {
	if d.ctx == nil || d.ctx.Err() != nil {
		return
	}
	d.opts.Stats.reboots.Add(1)
	d.boot()
	if loseJournal {
		d.flashFailed(d.flash.erase())
	}
	if d.conn != nil {
		d.conn.kill(true)
		d.detach()
	}
	d.motor.reset()
	if d.bolt != boltLocked {
		d.report(eventBolt, boltLocked) // as firmware does first of all
	}
	d.attempt = 0
	d.retryAfter(d.opts.BootTime + d.opts.Backoff.delay(0))
}

// RebootInNextOpen makes the device reboot at a point of the next open that it admits, whatever its faults are.
func (d *Device) RebootInNextOpen(at RebootPoint, loseJournal bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed, d.armedLoses = at, loseJournal
}

// garbage is what no good device sends.
var garbage = [][]byte{
	[]byte(`{`), []byte(`[]`), []byte(`[2,"g1"]`), []byte(`[9,"g2","Hello",{}]`), []byte(`[2,"g3","MakeCoffee",{}]`),
	[]byte(`[2,"g4","Events",{"items":"all of them"}]`), []byte(`[2,"g5","Heartbeat",{"mono":"soon"}]`),
	[]byte("[2,\"g6\",\"Heartbeat\",{\"mono\":\xff}]"), make([]byte, wire.MaxFrame+1), {},
}

// SendGarbage sends a frame that no good device sends.
func (d *Device) SendGarbage() error {
	return d.SendRaw(websocket.TextMessage, garbage[rand.N(len(garbage))])
}

// SendStrayAnswer answers a call that was never made.
func (d *Device) SendStrayAnswer() error {
	return d.SendRaw(websocket.TextMessage, wire.AppendResult(nil, "never-made", wire.Empty{}))
}

// SendRaw sends any message, of type websocket.TextMessage or websocket.BinaryMessage, on the device's session.
func (d *Device) SendRaw(messageType int, data []byte) error {
	d.mu.Lock()
	c := d.conn
	d.mu.Unlock()
	if c == nil {
		return errOffline
	}
	return c.writeRaw(messageType, data)
}

// kill closes the socket without a close frame; with reset, the bytes that were not sent yet die as well.
func (c *conn) kill(reset bool) {
	tcp := c.tcp()
	if reset {
		_ = tcp.SetLinger(0)
	}
	_ = tcp.Close()
}

// tcp is the socket below the WebSocket, and below TLS.
func (c *conn) tcp() *net.TCPConn {
	nc := c.ws.NetConn()
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	return nc.(*net.TCPConn)
}
