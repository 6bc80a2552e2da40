package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"time"
)

// underLoad connects the locks and measures opens, the hot key and lists.
func (r *run) underLoad(ctx context.Context) error {
	var err error
	if r.storing, err = r.startBare(ctx, filepath.Join(r.dir, "opens")); err != nil {
		return err
	}
	r.storing.name = "storing"
	r.say("connecting %d locks to each server", r.Locks)
	for _, p := range []*process{r.ours, r.bare, r.storing} {
		if p.fleet, err = connect(ctx, p.url, r.Locks, func(n int) string { return r.secrets[n] }); err != nil {
			return err
		}
		defer p.fleet.close()
	}
	for _, callers := range r.Callers {
		// Every caller walks over locks of its own, so that no two opens meet at one device, if there are locks enough.
		own := max(1, r.Locks/callers)
		open := r.opens(func(caller, n int) int { return 1 + (caller+n%own*callers)%r.Locks })
		if err := r.compare(ctx, fmt.Sprintf("open, %d callers", callers), callers, true, open, r.bare, r.ours, r.storing); err != nil {
			return err
		}
	}
	open := r.opens(func(int, int) int { return 1 }) // most of them join another
	if err := r.compare(ctx, fmt.Sprintf("open of one hot key, %d callers", hotCallers), hotCallers, false, open, r.bare, r.ours); err != nil {
		return err
	}
	return r.compare(ctx, fmt.Sprintf("list of %d temp keys, %d callers", r.ListKeys, listCallers), listCallers, false, list, r.bare, r.ours)
}

func (r *run) opens(lock func(caller, n int) int) caller {
	return func(ctx context.Context, p *process, c *http.Client, caller, n int) error {
		req, err := openRequest(ctx, p, keyUUID(lock(caller, n)))
		if err != nil {
			return err
		}
		return do(c, req, http.StatusSeeOther)
	}
}

func list(ctx context.Context, p *process, c *http.Client, _, _ int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/locks/1/temp-keys", nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-API-Key", superKey)
	return do(c, req, http.StatusOK)
}

// caller is the n-th call of one of the callers to a server.
type caller = func(ctx context.Context, p *process, c *http.Client, caller, n int) error

// compare has the servers take turns, and notes what each of them took. Where motors move, each answered open must have moved one,
// unless it joined another.
func (r *run) compare(ctx context.Context, name string, callers int, moves bool, call caller, servers ...*process) (err error) {
	if r.Profile != "" && moves && callers == slices.Max(r.Callers) {
		profiling, stop := context.WithCancel(ctx)
		profiled := r.profile(profiling)
		defer func() {
			if err != nil {
				stop()
			}
			err = errors.Join(err, profiled())
			stop()
		}()
	}
	measured := map[*process]*measurement{}
	for _, p := range servers {
		c := client(callers)
		defer c.CloseIdleConnections()
		done := make([]int, callers) // by each, in all turns: a device that is never opened says nothing, and is taken for gone
		measured[p] = &measurement{process: p, callers: callers, moves: moves, call: func(ctx context.Context, caller int) error {
			done[caller]++
			return call(ctx, p, c, caller, done[caller]-1)
		}}
		if _, err := load(ctx, callers, warmUp, measured[p].call); err != nil {
			return fmt.Errorf("bench: %s: %w", name, err)
		}
	}
	for round := range r.Rounds {
		for _, p := range servers {
			m := measured[p]
			if err := m.turn(ctx, r.Period); err != nil {
				return fmt.Errorf("bench: %s: %w", name, err)
			}
			if (round+1)%max(1, r.Rounds/4) == 0 {
				r.say("%-34s after round %2d  %-8s %6.0f/s  p50 %-8s p99 %s", name, round+1, p.name, m.rate(), micro(m.percentile(50)), micro(m.percentile(99)))
			}
		}
		slices.Reverse(servers) // who comes first has no advantage
	}
	if err := pause(ctx, r.Period); err != nil { // for what the last one has left to do
		return err
	}
	for _, p := range servers {
		if err := measured[p].settle(); err != nil {
			return fmt.Errorf("bench: %s: %w", name, err)
		}
	}
	r.table.rows = append(r.table.rows, row{name, measured[r.ours], measured[r.bare], measured[r.storing]})
	return nil
}

// settle is long enough for the server to notice that it rests, and to give back what the burst of handshakes has left.
const settle = 20 * time.Second

// idle starts both servers again, and measures what connecting the idle locks adds to their memory.
func (r *run) idle(ctx context.Context) error {
	if err := r.stopAll(); err != nil {
		return err
	}
	if err := r.startAll(ctx); err != nil {
		return err
	}
	per := map[*process]int64{}
	for _, p := range []*process{r.bare, r.ours} {
		before, err := p.resident()
		if err != nil {
			return err
		}
		f, err := connect(ctx, p.url, r.IdleLocks, func(n int) string { return r.secrets[n] })
		if err != nil {
			return err
		}
		r.say("%d locks connected; letting the server settle for %s", r.IdleLocks, settle)
		if err := pause(ctx, settle); err != nil {
			f.close()
			return err
		}
		after, err := p.resident()
		f.close()
		if err != nil {
			return err
		}
		per[p] = (after.total() - before.total()) / int64(r.IdleLocks)
		r.say("memory: %d MB and %d MB of files before, %d and %d MB after: %d bytes a lock",
			before.own>>20, before.files>>20, after.own>>20, after.files>>20, per[p])
	}
	r.table.memory(r.IdleLocks, per[r.ours], per[r.bare])
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
