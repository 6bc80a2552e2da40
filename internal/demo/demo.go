// Package demo is what makes a fresh server worth looking at: three simulated locks that connect to it as real ones
// do, and a guest link to each. It talks to the server by its public API alone.
//
// Everything it needs to come back the same is in one folder. That includes the super key in plain, which
// only a demo may do.
package demo

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/latchkey/latchkey/client"
	"github.com/latchkey/latchkey/sim"
)

// setupTimeout bounds the calls that a demo makes before it is ready.
const setupTimeout = 30 * time.Second

// Options are what a demo needs.
type Options struct {
	Dir       string      // its own folder, made when missing
	Server    string      // the server's base URL, as it is reached from here
	Nodes     []string    // those of the nodes that the locks connect to, when there are several
	PublicURL string      // and as a guest's browser reaches it
	OpsURL    string      // the base URL of metrics and health
	SuperKey  string      // what the server was started with
	TLS       *tls.Config // that trusts the server; nil: the system's roots
	Out       io.Writer   // for the person who watches
	Logger    *slog.Logger
}

// SuperKey reads the super key of the demo in dir, or makes one.
func SuperKey(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("demo: %w", err)
	}
	path := filepath.Join(dir, superKeyFile)
	content, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(content)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("demo: %w", err)
	}
	key := rand.Text() + rand.Text()
	return key, writeFile(path, []byte(key+"\n"))
}

// Run sets the demo up, tells about it, and keeps the locks going until ctx ends, which is no error.
func Run(ctx context.Context, o Options) error {
	err := run(ctx, o)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func run(ctx context.Context, o Options) (err error) {
	list, err := doors(o.Dir)
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = o.TLS.Clone() // the transport adds HTTP/2 to it, which WebSockets cannot speak
	defer transport.CloseIdleConnections()
	api, err := client.New(client.Options{Server: o.Server, APIKey: o.SuperKey, HTTP: &http.Client{Transport: transport}})
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := setUp(ctx, platform{api}, o.Dir, list); err != nil {
		return err
	}

	flashes, err := sim.OpenFlashFile(filepath.Join(o.Dir, flashFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, flashes.Close()) }()
	screen := &screen{out: o.Out, names: make(map[int64]string, len(list))}
	credentials := make([]sim.Credential, len(list))
	for i, d := range list {
		screen.names[d.LockID] = d.Name
		credentials[i] = sim.Credential{LockID: d.LockID, LockUUID: d.LockUUID, Secret: d.Secret}
	}
	nodes := o.Nodes
	if len(nodes) == 0 {
		nodes = []string{o.Server}
	}
	locks, err := sim.NewFleet(credentials, sim.FleetOptions{Flashes: flashes, Device: sim.DeviceOptions{
		Servers: nodes, TLS: o.TLS, Recorder: sim.NewFileRecorder(screen), Logger: o.Logger,
	}})
	if err != nil {
		return err
	}
	defer locks.Stop()
	if err := connect(ctx, locks); err != nil {
		return err
	}
	tell(o, list)
	<-ctx.Done()
	return nil
}

// connect switches the locks on and waits until all of them are there.
func connect(ctx context.Context, locks *sim.Fleet) error {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	if err := locks.Start(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := locks.WaitConnected(ctx, len(locks.Devices())); err != nil {
		return fmt.Errorf("demo: the simulated locks do not connect; the server's log above may say why: %w", err)
	}
	return nil
}

// setUp brings the server to where the doors say it is. Every step may have been done by an earlier demo already.
func setUp(ctx context.Context, p platform, dir string, list []*door) error {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	for _, d := range list {
		if err := p.createLock(ctx, d); err != nil {
			return err
		}
		if d.Secret == "" {
			secret, err := p.rotateSecret(ctx, d)
			if err != nil {
				return err
			}
			d.Secret = secret
			if err := save(dir, list); err != nil {
				return err
			}
		}
		status, err := p.keyStatus(ctx, d)
		if err != nil {
			return err
		}
		if status == "valid" {
			continue
		}
		if status != "" { // expired or used up: a demo whose doors stay shut is none
			d.newKey(time.Now())
			if err := save(dir, list); err != nil {
				return err
			}
		}
		if err := p.createKey(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// tell prints all that a person can do now.
func tell(o Options, list []*door) {
	var b strings.Builder
	b.WriteString("\nLatchkey is running with three simulated locks. Open a link in a browser and press the button:\n\n")
	for _, d := range list {
		fmt.Fprintf(&b, "  %-12s %s/temp-keys/%s\n", d.Name, o.PublicURL, d.TempKey)
	}
	fmt.Fprintf(&b, "\nOpen the %s as a program does:\n\n  curl -X POST -H 'X-API-Key: %s' %s/locks/%d/OpenLock\n", list[0].Name, o.SuperKey, o.PublicURL, list[0].LockID)
	fmt.Fprintf(&b, "\n  API          %s/docs\n  super key    %s\n  operations   %s/metrics, /readyz, /debug/pprof/\n", o.PublicURL, o.SuperKey, o.OpsURL)
	fmt.Fprintf(&b, "\nEach guest's key is good until %s and for %d uses. Ctrl-C stops.\n\n",
		list[0].ValidUntil.Local().Format("Monday 2 January 15:04"), keyMaxUses)
	_, _ = io.WriteString(o.Out, b.String()) // the person has gone when this fails
}

// screen shows each movement of a motor as it happens. It is the writer of a recorder, which hands it one line a movement.
type screen struct {
	out   io.Writer
	names map[int64]string // not changed once devices run
}

func (s *screen) Write(line []byte) (int, error) {
	var m sim.Movement
	if err := json.Unmarshal(line, &m); err != nil {
		return 0, err
	}
	_, err := fmt.Fprintf(s.out, "%s  the %s opened\n", m.Time.Local().Format(time.TimeOnly), s.names[m.LockID])
	return len(line), err
}
