package bench

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// underLoad connects the locks and measures opens, the hot key and lists.
func (r *run) underLoad(ctx context.Context) error {
	r.say("connecting %d locks to each server", r.Locks)
	ours, err := connect(ctx, r.ours.url, r.Locks, func(n int) string { return r.secrets[n] })
	if err != nil {
		return err
	}
	defer ours.close()
	bare, err := connect(ctx, r.bare.url, r.Locks, func(int) string { return "none" })
	if err != nil {
		return err
	}
	defer bare.close()

	for _, callers := range r.Callers {
		name := fmt.Sprintf("open, %d callers", callers)
		err := r.compare(ctx, name, callers, func(p *process, c *http.Client) caller {
			return func(ctx context.Context, caller, n int) error {
				// Every caller walks over locks of its own, so that opens rarely meet at one device.
				lock := 1 + (caller+n*callers)%r.Locks
				return r.open(ctx, p, c, lock)
			}
		}, func(p *process) *fleet {
			if p == r.ours {
				return ours
			}
			return bare
		})
		if err != nil {
			return err
		}
	}
	err = r.compare(ctx, fmt.Sprintf("open of one hot key, %d callers", hotCallers), hotCallers, func(p *process, c *http.Client) caller {
		return func(ctx context.Context, _, _ int) error { return r.open(ctx, p, c, 1) }
	}, nil)
	if err != nil {
		return err
	}
	return r.compare(ctx, fmt.Sprintf("list of %d temp keys, %d callers", r.ListKeys, listCallers), listCallers, func(p *process, c *http.Client) caller {
		return func(ctx context.Context, _, _ int) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/locks/1/temp-keys", nil)
			if err != nil {
				return err
			}
			req.Header.Set("X-API-Key", superKey)
			return do(c, req, http.StatusOK)
		}
	}, nil)
}

type caller = func(ctx context.Context, caller, n int) error

func (r *run) open(ctx context.Context, p *process, c *http.Client, lock int) error {
	req, err := openRequest(ctx, p, keyUUID(lock))
	if err != nil {
		return err
	}
	return do(c, req, http.StatusSeeOther)
}

// compare measures both servers in turn, several rounds, and notes the medians. With a fleet every answered open must
// have moved a motor, unless it joined another.
func (r *run) compare(ctx context.Context, name string, callers int, make func(*process, *http.Client) caller, fleetOf func(*process) *fleet) error {
	rounds := map[*process][]sample{}
	for round := range r.Rounds {
		for _, p := range []*process{r.bare, r.ours} {
			c := client(callers)
			if _, err := load(ctx, p, callers, warmUp, make(p, c)); err != nil {
				return err
			}
			moved := int64(0)
			if fleetOf != nil {
				moved = fleetOf(p).movements.Load()
			}
			s, err := load(ctx, p, callers, r.Period, make(p, c))
			c.CloseIdleConnections()
			if err != nil {
				return err
			}
			if fleetOf != nil {
				if moved = fleetOf(p).movements.Load() - moved; moved < int64(s.ops)*9/10 {
					return fmt.Errorf("bench: %s: %d opens were confirmed but only %d motors moved", name, s.ops, moved)
				}
			}
			rounds[p] = append(rounds[p], s)
			who := "bare"
			if p == r.ours {
				who = "latchkey"
			}
			r.say("%-40s round %d  %-8s  %7.0f/s  p50 %-9s p99 %-9s  CPU %s each", name, round+1, who, s.rate(),
				s.p50.Round(time.Microsecond), s.p99.Round(time.Microsecond), s.cpuPer().Round(100*time.Nanosecond))
		}
	}
	r.table.add(name, median(rounds[r.ours]), median(rounds[r.bare]))
	return nil
}

// median picks the round whose CPU cost is in the middle.
func median(samples []sample) sample {
	slices.SortFunc(samples, func(a, b sample) int { return int(a.cpuPer() - b.cpuPer()) })
	return samples[len(samples)/2]
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
		select {
		case <-time.After(settle):
		case <-ctx.Done():
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
	return ctx.Err()
}
