package actors

import (
	"errors"
	"log/slog"
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
			g.deliverAll(o)
		}
		o.sayLast(g, g.answer.Err)
	}
	g.owing.Add(-1)
}

// deliverAll carries out a command's effects when its grain has gone, or an open that counts as sent would never leave. What panics here
// has no grain any more that could start anew.
func (g *grain) deliverAll(o *op) {
	defer func() {
		if reason := recover(); reason != nil {
			g.metrics.panics.Inc()
			g.Logger.Error("an effect panicked", slog.String("stream", g.stream()), slog.Any("reason", reason))
		}
	}()
	for _, e := range o.effects {
		g.deliver(e)
	}
}

// sayLast answers a command whose grain has gone, by what became of its append.
func (o *op) sayLast(g *grain, err error) {
	if err == nil && len(o.safe) > 0 {
		g.withheld.add(o, time.Until(o.safeAt))
		return
	}
	o.say(g, o.lastWord(err))
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

// Owed is how many stopped grains still owe answers.
func (l *Locks) Owed() int { return int(l.shell.owing.Load()) }

// Late is how many answers wait for nothing but their time, a second or two away.
func (l *Locks) Late() int { return int(l.shell.late.Load()) }
