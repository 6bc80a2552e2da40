package actors

import (
	"time"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/cluster/clusterpb"
	"github.com/latchkey/latchkey/lock"
)

// waiter is a command that is durable, and whose reply waits for the device: an open for its answer, a revocation for the
// moment from which no open of its key can move the motor any more.
type waiter struct {
	op
	until time.Duration // as shell.now, so no step of the clock matters: the reply does not wait longer
}

// await replies to an open when the device has answered, or the wait is over.
func (g *grain) await(o *op) {
	result := o.response.Reply.(*lock.OpenResult)
	held := result.Outcome == lock.Reserved && result.Offline
	if result.Outcome.Final() || held || len(g.waiters) >= maxWaiters || o.from == nil {
		g.answered(o)
		return
	}
	if !g.onItsWay(result.CommandID) {
		g.nowKnown(o)
		g.answered(o)
		return
	}
	wait := g.OpenWait
	if !o.req.Deadline.IsZero() {
		left := time.Until(o.req.Deadline)
		wait = min(wait, left-max(replyMargin, left/10))
	}
	g.wait(o, wait)
}

// withhold replies to a revocation when the commands that it names have ended, or its instant has passed.
func (g *grain) withhold(o *op) {
	o.safe = g.state.Unended(o.safe)
	if len(o.safe) == 0 {
		g.answered(o)
		return
	}
	if len(g.waiters) >= maxWaiters+maxWithheld { // opens leave this room, and an early reply would be a lie
		o.say(g, &clusterpb.Failed{Reason: "too many callers wait for this lock to tell when the revocation is safe"})
		return
	}
	g.metrics.withheld.Inc()
	g.wait(o, time.Until(o.safeAt))
}

func (g *grain) wait(o *op, d time.Duration) {
	o.effects, o.image = nil, nil
	g.waiters = append(g.waiters, waiter{op: *o, until: g.now() + d})
	g.metrics.waiting.Add(1)
	g.lean.Store(false)
	g.wakeIn(d)
}

// ended replies to those who wait for these commands.
func (g *grain) ended(ids []lock.CommandID) {
	if len(ids) == 0 || len(g.waiters) == 0 {
		return
	}
	g.release(func(w *waiter) bool {
		if w.keying {
			return false
		}
		if !w.opening {
			w.safe = g.state.Unended(w.safe)
			return len(w.safe) == 0
		}
		result := w.response.Reply.(*lock.OpenResult)
		for _, id := range ids {
			if id == result.CommandID {
				g.nowKnown(&w.op)
				return w.response.Reply.(*lock.OpenResult).Outcome.Final()
			}
		}
		return false
	}, g.answered)
}

// expire replies to those whose wait is over, with what is known. It may not be durable yet, so they go through the queue.
func (g *grain) expire(now time.Duration) {
	g.release(func(w *waiter) bool { return w.until <= now }, func(o *op) {
		if o.opening {
			g.nowKnown(o)
			o.opening = false
		}
		g.keyKnown(o)
		g.stage(op{call: o.call, others: o.others, response: o.response})
	})
}

// release takes the waiters out that are done, and says what they waited for.
func (g *grain) release(done func(*waiter) bool, say func(*op)) {
	kept := 0
	for i := range g.waiters {
		w := &g.waiters[i]
		if done(w) {
			say(&w.op)
			continue
		}
		if kept != i {
			g.waiters[kept] = *w
		}
		kept++
	}
	g.metrics.waiting.Add(-int64(len(g.waiters) - kept))
	clear(g.waiters[kept:])
	g.waiters = g.waiters[:kept]
}

// giveUp is for a grain that stops. An open is known by its request ID and can be asked for again; a revocation has been
// stored, and is safe at its instant wherever the lock is by then.
func (w *waiter) giveUp(g *grain) {
	if w.opening || w.keying {
		w.say(g, cluster.AskAgain)
		return
	}
	g.withheld.add(&w.op, w.until-g.now())
}

// nowKnown brings the reply to an open up to what is known by now.
func (g *grain) nowKnown(o *op) {
	asked := o.response.Reply.(*lock.OpenResult)
	if result, ok := g.state.OpenResult(asked.RequestID); ok {
		result.Replayed = asked.Replayed
		o.response = &Response{Reply: result}
	}
}

// onItsWay tells whether the device may still move its motor for a command.
func (g *grain) onItsWay(id lock.CommandID) bool {
	for _, cmd := range g.state.Commands {
		if cmd.ID == id {
			return cmd.Outcome == lock.Reserved || cmd.Outcome == lock.Sent
		}
	}
	return false
}
