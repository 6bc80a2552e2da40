package actors

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/latchkey/latchkey/lock"
)

// The sweeper looks at the grains four times within Options.IdleAfter, but not more often or seldom than this.
const (
	minSweep = 20 * time.Millisecond
	maxSweep = time.Minute
	// absentSweep is how often it looks at those of locks that were never created. Anybody with a credential can ask for any number
	// of these, and each one that stayed for a minute would be a piece of memory for the asking.
	absentSweep = time.Second
)

func (s *shell) sweepEvery() time.Duration { return min(max(s.IdleAfter/4, minSweep), maxSweep) }

// sweep wakes the grains that have something to drop, until the shell closes. The others sleep on.
func (s *shell) sweep() {
	ticker, often := time.NewTicker(s.sweepEvery()), time.NewTicker(absentSweep)
	defer ticker.Stop()
	defer often.Stop()
	for {
		look := s.restless
		select {
		case <-ticker.C:
		case <-often.C:
			look = s.noLocks
		case <-s.ctx.Done():
			return
		}
		for _, g := range look() {
			g.system.Root.Send(g.pid, rest{})
		}
	}
}

// noLocks are the grains of locks that were never created, as far as they have heard.
func (s *shell) noLocks() []*grain {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.absent))
}

// isAbsent notes whether the grain's lock was never created.
func (s *shell) isAbsent(g *grain, absent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.absent, g); absent {
		s.absent[g] = struct{}{}
	}
}

// restless are the grains that were not called since the last look and hold more than they need, or could go.
func (s *shell) restless() (found []*grain) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for g := range s.grains {
		idle := now - time.Duration(g.used.Load())
		if idle >= s.sweepEvery() && !g.lean.Load() || idle >= s.IdleAfter && !g.busy.Load() {
			found = append(found, g)
		}
	}
	return found
}

func (s *shell) enter(g *grain) {
	s.mu.Lock()
	s.grains[g] = struct{}{}
	s.mu.Unlock()
}

func (s *shell) leave(g *grain) {
	s.mu.Lock()
	delete(s.grains, g)
	delete(s.absent, g)
	s.mu.Unlock()
}

// rest drops what an idle grain does not need. One whose device is not connected stops in the end; one of a lock that was
// never created stops at once.
func (g *grain) rest(ctx actor.Context) {
	if g.phase == loading || len(g.queue) > 0 || len(g.waiters) > 0 || len(g.stash) > 0 {
		return
	}
	idle := g.now() - time.Duration(g.used.Load())
	if g.phase == cold {
		g.quit(ctx)
		return
	}
	enough, absent := g.sweepEvery(), !g.state.Exists()
	if absent {
		enough = min(enough, absentSweep)
	} else {
		g.isAbsent(g, false)
	}
	if idle < enough {
		return
	}
	_, due := lock.NextDeadline(g.state)
	if !due && !g.state.Device.Connected && (idle >= g.IdleAfter || absent) {
		g.metrics.passivations.Inc()
		g.quit(ctx)
		return
	}
	g.queue, g.waiters, g.recent = nil, nil, nil
	if g.armed == 0 {
		g.timer = nil
		g.lean.Store(true)
	}
}
