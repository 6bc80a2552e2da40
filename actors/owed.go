package actors

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/cluster/clusterpb"
	"github.com/latchkey/latchkey/journal"
)

// A grain that stops may have an append in flight. Whoever waits for that cannot be sent to the next activation: the append may
// yet become true, and then the command would be executed a second time, or refused because it was done already. So they wait
// for the journal, although the grain has gone by then.

// owe leaves the commands that the append in flight covers to be answered by the journal's answer.
func (g *grain) owe(batch []op) {
	if len(batch) == 0 {
		return
	}
	g.owing.Add(1)
	g.owed.Store(&batch)
	if g.settled.Load() { // it has come, and the grain has not looked at it yet
		g.pay()
	}
}

// pay carries them out and answers them. The journal and the grain that stops may both call it; the first one does it.
func (g *grain) pay() {
	batch := g.owed.Swap(nil)
	if batch == nil {
		return
	}
	for i := range *batch {
		o := &(*batch)[i]
		if g.answer.Err == nil {
			for _, e := range o.effects { // or an open that counts as sent would never leave
				g.deliver(e)
			}
			if len(o.safe) > 0 {
				o.sayWhenSafe(g, time.Until(o.safeAt))
				continue
			}
		}
		o.say(g, o.lastWord(g.answer.Err))
	}
	g.owing.Add(-1)
}

// lastWord is what a command is answered when its grain has gone, by what became of its append.
func (o *op) lastWord(err error) any {
	perhaps := err == nil || errors.Is(err, journal.ErrUnknown)
	switch {
	case !perhaps:
		return cluster.Retry
	case o.opening || o.keying: // these are known by their names
		return cluster.AskAgain
	case err == nil:
		return o.response
	case o.records != nil:
		return &clusterpb.Failed{Reason: "the lock moved to another node, and it is not known whether the command was stored"}
	}
	return cluster.Retry
}

// sayWhenSafe answers a revocation that was stored, and whose grain has gone, when it is safe: when its time has come, or before
// that when the journal has the end of all commands that it waits for, which the lock's next grain stores. Who waits on a node that
// may take this one for gone by then hears before that it is not known.
func (o *op) sayWhenSafe(g *grain, in time.Duration) {
	g.late.Add(1)
	answer := func() {
		defer g.late.Add(-1)
		if o.becomesSafe(g, in) {
			o.say(g, o.response)
		} else {
			o.say(g, &clusterpb.Failed{Reason: "the lock moved to another node before the revocation was safe"})
		}
	}
	if !g.background(answer) {
		go answer() // the shell is closed, and does not wait
	}
}

// becomesSafe waits for that, and reports whether it has come.
func (o *op) becomesSafe(g *grain, in time.Duration) bool {
	if in <= 0 {
		return true
	}
	patience := maxLate
	if !o.req.Deadline.IsZero() {
		patience = min(patience, time.Until(o.req.Deadline))
	}
	ctx, cancel := context.WithTimeout(g.shell.ctx, min(in, patience))
	defer cancel()
	tick := time.NewTicker(safePoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return in <= patience && g.shell.ctx.Err() == nil
		case <-tick.C:
		}
		if now := g.read(ctx, g.stream(), nil); now.err == nil && len(stillOnTheirWay(now.state, o.safe)) == 0 {
			return true
		}
	}
}

// Owed is how many stopped grains still owe answers.
func (l *Locks) Owed() int { return int(l.shell.owing.Load()) }

// Late is how many answers wait for nothing but their time, a second or two away.
func (l *Locks) Late() int { return int(l.shell.late.Load()) }
