package transport

import (
	"math/rand/v2"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// A grain that is activated anew, on another node as a rule, knows nothing of its device's session until that tells of itself.

const (
	keepBurst = 64               // sessions that tell their grains of themselves in a row
	keepPause = time.Millisecond // between two such rows
	// After a change of the cluster's members all sessions remind their grains once more, so many a second and not before some
	// time has passed, in case that a grain has moved there and back without this node's having seen it.
	remindersPerSec = 250
	minReminded     = 10 * time.Second
	// After a connection between members broke it has to be sooner: something may be lost that somebody waits for.
	recallsPerSec = 1000
	minRecalled   = time.Second
)

// Keep makes the sessions whose locks have moved tell the grains there of themselves, at once. It is called after every change of the
// cluster's members, and returns when it has found them.
func (h *Hub) Keep() {
	now := h.elapsed()
	within := max(minReminded, time.Duration(h.connected.Load())*time.Second/remindersPerSec)
	moved := 0
	h.each(func(s *session) {
		if s.hasMoved() {
			moved++
		}
		s.remindBy(now + time.Duration(rand.Int64N(int64(within))))
	})
	if moved == 0 || h.keeps.Add(1) > 1 { // the goroutine that keeps goes round again
		return
	}
	if !h.spawn(h.keepMoved) {
		h.keeps.Store(0)
	}
}

// Recall makes the sessions whose locks are on a member remind the grains there soon: something that it had for them may have been lost,
// such as the word that a session is over. A session whose end was lost because its secret is worth nothing any more ends here.
func (h *Hub) Recall(member string) {
	now := h.elapsed()
	within := max(minRecalled, time.Duration(h.connected.Load())*time.Second/recallsPerSec)
	h.each(func(s *session) {
		if h.Grains.Home(s.lock) == member {
			s.remindBy(now + rand.N(within))
		}
	})
}

// keepMoved tells for all sessions that have moved, until Keep has found no more of them.
func (h *Hub) keepMoved() {
	ticker := time.NewTicker(keepPause)
	defer ticker.Stop()
	for calls := h.keeps.Load(); ; calls = h.keeps.Load() {
		n := 0
		h.each(func(s *session) {
			if !s.isMoved() {
				return
			}
			s.keep()
			if n++; n%keepBurst == 0 {
				select {
				case <-ticker.C:
				case <-h.stop:
				}
			}
		})
		if h.keeps.CompareAndSwap(calls, 0) {
			return
		}
	}
}

// hasMoved looks whether the lock has another home than the one that was told of the session.
func (s *session) hasMoved() bool {
	home := s.hub.Grains.Home(s.lock)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == live && home != s.home {
		s.home, s.moved = home, true
	}
	return s.moved
}

func (s *session) isMoved() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}

// keep tells the grain of the session.
func (s *session) keep() {
	s.mu.Lock()
	greeted, device := s.phase == live, s.device
	s.moved = false
	s.mu.Unlock()
	if greeted {
		s.hub.Grains.Tell(s.lock, &lock.KeepDevice{Device: device})
	}
}

// remindBy has the sweeper call keep earlier than it would.
func (s *session) remindBy(at time.Duration) {
	for {
		due := s.keepAt.Load()
		if due <= int64(at) || s.keepAt.CompareAndSwap(due, int64(at)) {
			return
		}
	}
}
