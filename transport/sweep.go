package transport

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

const (
	sweepsPerBeat = 25                    // how often the sweeper comes by in the time of one heartbeat
	shortestSweep = 10 * time.Millisecond // for tests with fast heartbeats
	keepBurst     = 64                    // sessions that remind their grains in a row
	keepPause     = time.Millisecond      // between two such rows
	closers       = 64                    // sessions that a drain closes at once
	drainPoll     = 20 * time.Millisecond
)

// sweep is the one goroutine that watches over time for all sessions: missed heartbeats, and reminders of grains.
func (h *Hub) sweep() {
	ticker := time.NewTicker(max(h.HeartbeatEvery/sweepsPerBeat, shortestSweep))
	defer ticker.Stop()
	for {
		select {
		case <-h.stop:
			return
		case <-ticker.C:
		}
		now := h.elapsed()
		h.each(func(s *session) { s.look(now) })
		h.events.forget(now)
	}
}

// look is the sweeper's visit to one session. Now and then the lock is asked whether the device may still be here.
func (s *session) look(now time.Duration) {
	if now-time.Duration(s.heard.Load()) > wire.MissesToClose*s.hub.HeartbeatEvery {
		s.close(wire.CloseHeartbeat, "no heartbeat", false)
		return
	}
	if now >= s.keepAt {
		s.keepAt = now + s.hub.nextKeep()
		s.keep()
		s.hub.spawn(s.verify)
	}
}

// keep reminds the grain of the session.
func (s *session) keep() {
	s.mu.Lock()
	greeted, device := s.phase == live, s.device
	s.mu.Unlock()
	if greeted {
		s.hub.Grains.Tell(s.lock, &lock.KeepDevice{Device: device})
	}
}

// Keep lets every session remind its grain of itself, in case that the grain moved. It is called whenever the members
// of the cluster change, and returns at once.
func (h *Hub) Keep() {
	if !h.keeping.CompareAndSwap(false, true) {
		return
	}
	started := h.spawn(func() {
		defer h.keeping.Store(false)
		ticker := time.NewTicker(keepPause)
		defer ticker.Stop()
		n := 0
		h.each(func(s *session) {
			s.keep()
			if n++; n%keepBurst == 0 {
				select {
				case <-ticker.C:
				case <-h.stop:
				}
			}
		})
	})
	if !started {
		h.keeping.Store(false)
	}
}

// Drain refuses new devices, asks the connected ones to come back, each after its own pause of at most spread, and
// waits until they are gone.
func (h *Hub) Drain(ctx context.Context, spread time.Duration) error {
	h.draining.Store(true)
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for {
		var g errgroup.Group
		g.SetLimit(closers)
		h.each(func(s *session) {
			if ctx.Err() != nil {
				return
			}
			g.Go(func() error {
				s.close(wire.CloseDraining, retryAfter(rand.N(max(spread, 1))), true)
				return nil
			})
		})
		_ = g.Wait()
		if h.connected.Load() == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Close resets what is still connected and waits for every goroutine of the hub. It may be called again.
func (h *Hub) Close() {
	h.draining.Store(true)
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		close(h.stop)
	}
	h.mu.Unlock()
	h.each(func(s *session) {
		s.doom(causeStopped)
		s.reset()
	})
	h.wg.Wait()
}
