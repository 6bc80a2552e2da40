package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/latchkey/latchkey/lock"
)

// The sweeper looks at the grains four times within Options.IdleAfter, but not more often or seldom than this.
const (
	minSweep = 20 * time.Millisecond
	maxSweep = time.Minute
)

func (s *shell) sweepEvery() time.Duration { return min(max(s.IdleAfter/4, minSweep), maxSweep) }

// sweep wakes the grains that have something to drop, until the shell closes. The others sleep on.
func (s *shell) sweep() {
	ticker := time.NewTicker(s.sweepEvery())
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.ctx.Done():
			return
		}
		for _, g := range s.restless() {
			g.system.Root.Send(g.pid, rest{})
		}
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
	_, due := lock.NextDeadline(g.state)
	if !due && !g.state.Device.Connected && (idle >= g.IdleAfter || idle >= g.sweepEvery() && !g.state.Exists()) {
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
