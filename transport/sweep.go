package transport

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/transport/wire"
)

const (
	sweepsPerBeat = 25                    // how often the sweeper comes by in the time of one heartbeat
	shortestSweep = 10 * time.Millisecond // for tests with fast heartbeats
	closers       = 64                    // sessions that a drain closes at once
	drainPoll     = 20 * time.Millisecond
)

// The devices of a server that drains come back at this pace, so that they are not too many at once for the others, and no door
// is away for longer than it takes all of them.
const (
	returnPace = time.Millisecond // for each device
	maxReturn  = 10 * time.Second // for all
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
	if due := s.keepAt.Load(); int64(now) >= due {
		s.keepAt.CompareAndSwap(due, int64(now+s.hub.nextKeep()))
		s.hub.spawn(s.remind)
	}
}

// Drain refuses new devices, asks the connected ones to come back, each after its own pause, and waits until they are gone.
// Few come back at once, and 10,000 within 10 s.
func (h *Hub) Drain(ctx context.Context) error {
	h.draining.Store(true)
	within := min(time.Duration(1+h.connected.Load())*returnPace, maxReturn)
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
				s.close(wire.CloseDraining, retryAfter(rand.N(within)), true)
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
