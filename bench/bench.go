// Package bench measures a real server, in a process of its own, against the bare one of bench/bare in the same run:
// opens from HTTP to a confirmed motor and back, the hot key, lists, and the memory of idle locks. Opens are measured on a
// third server as well, the bare one with a file that it syncs for each open: what that costs more than the other is what a
// lone caller of any server that stores opens pays for.
//
// Machines differ and are noisy, and their noise lasts for seconds. So the servers take short turns, many of them, and the
// figures to quote are the ratios: that of the CPU is the median of the rounds', in which both had the same noise. What a server still does
// for its turn while the others have theirs is counted as its own. Load and devices run in the measuring process and are not counted.
package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options says how much to measure.
type Options struct {
	Callers   []int         // levels of concurrency
	Period    time.Duration // of each turn of a server
	Rounds    int           // of turns, at each measurement
	Locks     int           // connected under load
	IdleLocks int           // connected for the figure of memory; 0: leave it out
	ListKeys  int           // temporary keys of the lock that is listed
	Profile   string        // the file for a CPU profile of the server, at the highest level; empty: none
	Progress  io.Writer
	Out       io.Writer
}

func (o Options) validate() error {
	switch {
	case len(o.Callers) == 0 || o.Rounds < 1 || o.Period < 100*time.Millisecond:
		return errors.New("bench: name at least one level of callers, one round, and 100 ms for each")
	case o.Profile != "" && o.profiled() < time.Second:
		return errors.New("bench: a profile takes measurements of a second or longer")
	case o.Locks < 1 || o.IdleLocks < 0 || o.ListKeys < 1:
		return errors.New("bench: the numbers of locks and keys must be positive")
	}
	return nil
}

// profiled is for how long there is a profile: while our server has its turns, and one other.
func (o Options) profiled() time.Duration { return 2 * o.Period * time.Duration(o.Rounds) }

// manyRequests a second are more than anybody makes: requests are counted, and nobody is refused.
const manyRequests = "1000000"

// BareCommand is the hidden command by which the program serves as its own baseline: args are address, locks, keys to be
// listed and, if it is to store opens, the file.
const BareCommand = "bench-bare"

const (
	superKey        = "bench-super-key-bench-super-key-0123456789"
	provisionAtOnce = 64
	hotCallers      = 256
	listCallers     = 16
	warmUp          = 500 * time.Millisecond
)

// run is one run of the benchmark.
type run struct {
	Options
	dir     string
	secrets []string // by lock, from 1 on
	ours    *process
	bare    *process
	storing *process // the bare one with a file
	table   table
}

// Run measures and writes the table to o.Out.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "latchkey-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &run{Options: o, dir: dir, secrets: make([]string, max(o.Locks, o.IdleLocks)+1)}
	defer func() { err = errors.Join(err, r.stopAll()) }()

	if err := r.startAll(ctx); err != nil {
		return err
	}
	if err := r.provision(ctx); err != nil {
		return err
	}
	if err := r.underLoad(ctx); err != nil {
		return err
	}
	if o.IdleLocks > 0 {
		if err := r.idle(ctx); err != nil {
			return err
		}
	}
	return r.table.write(o.Out)
}

func (r *run) say(format string, args ...any) { fmt.Fprintf(r.Progress, format+"\n", args...) }

func (r *run) startAll(ctx context.Context) error {
	if err := r.startOurs(ctx); err != nil {
		return err
	}
	var err error
	if r.bare, err = r.startBare(ctx); err != nil {
		return err
	}
	r.ours.name, r.bare.name = "latchkey", "bare"
	return nil
}

func (r *run) startOurs(ctx context.Context) error {
	api, err1 := freeAddr()
	ops, err2 := freeAddr()
	keyFile := filepath.Join(r.dir, "super-key")
	if err := errors.Join(err1, err2, os.WriteFile(keyFile, []byte(superKey), 0o600)); err != nil {
		return err
	}
	var err error
	r.ours, err = start(ctx, "http://"+api, "http://"+ops, "http://"+ops+"/readyz",
		"serve", "--http-addr", api, "--ops-addr", ops, "--data-dir", filepath.Join(r.dir, "data"), "--super-key-file", keyFile, "--log-level", "warn",
		"--rate-per-address", manyRequests, "--rate-per-target", manyRequests) // all the load comes from one address
	return err
}

func (r *run) startBare(ctx context.Context, store ...string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	args := append([]string{BareCommand, addr, fmt.Sprint(len(r.secrets) - 1), fmt.Sprint(r.ListKeys)}, store...)
	return start(ctx, "http://"+addr, "", "http://"+addr+"/livez", args...)
}

func (r *run) stopAll() error {
	var errs []error
	for _, p := range []*process{r.ours, r.bare, r.storing} {
		if p != nil {
			errs = append(errs, p.stop())
		}
	}
	r.ours, r.bare, r.storing = nil, nil, nil
	return errors.Join(errs...)
}

// provision creates the locks with their device secrets, a key for each lock under load, and the keys of the list.
func (r *run) provision(ctx context.Context) error {
	r.say("provisioning %d locks", len(r.secrets)-1)
	begin := time.Now()
	c := client(provisionAtOnce)
	defer c.CloseIdleConnections()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(provisionAtOnce)
	for n := 1; n < len(r.secrets); n++ {
		group.Go(func() error { return r.provisionLock(ctx, c, n) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.say("provisioned %d locks in %s", len(r.secrets)-1, time.Since(begin).Round(time.Millisecond))
	return nil
}

func (r *run) provisionLock(ctx context.Context, c *http.Client, n int) error {
	if err := r.post(ctx, c, n, "CreateLock", map[string]any{"index": n, "uuid": lockUUID(n)}, nil); err != nil {
		return err
	}
	var rotated struct{ Secret string }
	if err := r.post(ctx, c, n, "RotateDeviceSecret", map[string]any{}, &rotated); err != nil {
		return err
	}
	r.secrets[n] = rotated.Secret
	if n > r.Locks {
		return nil
	}
	keys := []string{keyUUID(n)}
	if n == 1 {
		keys = append(keys, listKeys(r.ListKeys)...)
	}
	now := time.Now().UTC()
	for _, key := range keys {
		err := r.post(ctx, c, n, "create-temp-key", map[string]any{
			"tempKeyUuid": key, "accessMode": "public",
			"validFrom": now.Add(-time.Hour).Format(time.RFC3339), "validUntil": now.AddDate(0, 0, 7).Format(time.RFC3339),
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// ListKeys are the further keys of lock 1, so that lists of the same length are compared.
func listKeys(total int) []string {
	keys := make([]string, 0, total)
	for n := 1; n < total; n++ {
		keys = append(keys, fmt.Sprintf("00000000-0000-4000-a000-%012d", n))
	}
	return keys
}

func (r *run) post(ctx context.Context, c *http.Client, lock int, op string, body, into any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/locks/%d/%s", r.ours.url, lock, op), bytes.NewReader(payload))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", superKey)
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("bench: %s of lock %d: %s: %s", op, lock, resp.Status, strings.TrimSpace(string(answer)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}
