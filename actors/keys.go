package actors

import (
	"time"

	"github.com/latchkey/latchkey/lock"
)

// keyGrace is how long after the deadline of a command about a key its caller still waits for its end: the kernel calls it
// unknown by then.
const keyGrace = 2 * time.Second

// awaitKey replies to a change of a permanent key when the device has answered, or was given up. Other than an open it
// waits for the end: a caller who hears "sent" could do nothing with it.
func (g *grain) awaitKey(o *op) {
	result := o.response.Reply.(*lock.KeyResult)
	if result.Outcome != lock.Sent || len(g.waiters) >= maxWaiters || o.from == nil {
		g.answered(o)
		return
	}
	wait := time.Until(result.Deadline) + keyGrace
	if !o.req.Deadline.IsZero() {
		left := time.Until(o.req.Deadline)
		wait = min(wait, left-max(replyMargin, left/10))
	}
	g.wait(o, wait)
}

// keyEnded notes what became of a command about a key, for those who wait for it. It comes right after the event.
func (g *grain) keyEnded(o *op, id lock.CommandID) {
	if result, ok := g.state.KeyResult(id); ok && id != "" {
		o.keys = append(o.keys, result)
		g.metrics.keys.WithLabelValues(string(result.Outcome)).Inc()
	}
}

// keysEnded replies to those who wait for these commands. Unlike the end of an open it is durable by now: a key that
// somebody was told to be gone must not come back with the next activation.
func (g *grain) keysEnded(results []*lock.KeyResult) {
	if len(results) == 0 || len(g.waiters) == 0 {
		return
	}
	g.release(func(w *waiter) bool {
		asked, ok := w.response.Reply.(*lock.KeyResult)
		if !ok {
			return false
		}
		for _, result := range results {
			if result.CommandID == asked.CommandID {
				w.response = &Response{Reply: result}
				return true
			}
		}
		return false
	}, g.answered)
}

// keyKnown brings the reply to a change of a key up to what is known by now.
func (g *grain) keyKnown(o *op) {
	if asked, ok := o.response.Reply.(*lock.KeyResult); ok {
		if result, known := g.state.KeyResult(asked.CommandID); known {
			o.response = &Response{Reply: result}
		}
	}
}
