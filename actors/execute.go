package actors

import (
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// op is a command that was decided: what it wants stored, and what is done and said once that and all before it is durable.
type op struct {
	call
	others  []*actor.PID // who sent the same request again meanwhile
	records []journal.NewRecord
	index   []journal.IndexChange
	at      time.Time
	opening bool // the reply is an open's, and may have to wait for the device
	keying  bool // the reply is that of a change of a key, and may have to wait for the device too

	effects  []lock.Effect
	response *Response
	ended    []lock.CommandID  // commands to the device that came to an end
	keys     []*lock.KeyResult // the same of commands about keys
	safe     []lock.CommandID  // the reply waits until these have ended, or
	safeAt   time.Time         // this instant has passed
	image    *journal.Snapshot // of the state right after it
}

// execute decides a command on the staged state and puts it behind what is in flight.
func (g *grain) execute(c call) {
	now := time.Now()
	if !c.req.Deadline.IsZero() && !now.Before(c.req.Deadline) {
		return // its caller has gone
	}
	if g.repeated(c) {
		return
	}
	if len(g.queue) >= maxStaged {
		g.sendBack(c, cluster.Busy)
		return
	}
	o := op{call: c, at: now}
	d, err := lock.Decide(g.state, c.req.Command, now)
	if err != nil {
		o.response = &Response{Err: g.rejection(err)}
		g.stage(o)
		return
	}
	if err := o.write(g.state, d.Events); err != nil {
		g.Logger.Error("an event cannot be written", slog.String("stream", g.stream()), slog.Any("error", err))
		o.response = &Response{Err: internalError()}
		g.stage(o)
		return
	}
	o.effects, o.response = d.Effects, &Response{Reply: d.Reply}
	o.safe, o.safeAt = d.SafeAfter, d.SafeAt
	_, o.opening = d.Reply.(*lock.OpenResult)
	_, o.keying = d.Reply.(*lock.KeyResult)
	g.evolve(&o, d.Events)
	if len(o.ended) > 0 && fromDevice(c.req.Command) {
		// The one exception: who waits for an open hears the device's answer before the journal has it.
		g.ended(o.ended)
		o.ended = nil
	}
	g.stage(o)
}

// write makes the records of the events that belong in the journal.
func (o *op) write(s *lock.State, events []lock.Event) error {
	for _, e := range events {
		if !lock.Journaled(e) {
			continue
		}
		typ, data, err := lock.MarshalEvent(e)
		if err != nil {
			return err
		}
		if o.records == nil {
			o.records = make([]journal.NewRecord, 0, len(events))
		}
		o.records = append(o.records, journal.NewRecord{Type: typ, Time: stampOf(e).At, Data: data})
		o.index = append(o.index, indexed(s, e)...)
	}
	return nil
}

// evolve applies the events and notes what the shell has to know of them.
func (g *grain) evolve(o *op, events []lock.Event) {
	expected := g.state.Version + uint64(len(o.records))
	for _, e := range events {
		switch e := e.(type) {
		case *lock.LockOpened:
			g.measure(e.CommandID, e.At, lock.Opened)
			o.ended = append(o.ended, e.CommandID)
		case *lock.LockOpenFailed:
			g.measure(e.CommandID, e.At, e.Outcome)
			o.ended = append(o.ended, e.CommandID)
		}
		lock.Evolve(g.state, e)
		switch e := e.(type) {
		case *lock.KeyAdded:
			g.keyEnded(o, e.CommandID)
		case *lock.KeyRemoved:
			g.keyEnded(o, e.CommandID)
		case *lock.KeyWritten:
			g.keyEnded(o, e.CommandID)
		case *lock.KeyChangeFailed:
			g.keyEnded(o, e.CommandID)
		}
	}
	if g.state.Version != expected {
		panic("the state's version is " + strconv.FormatUint(g.state.Version, 10) + " and not " + strconv.FormatUint(expected, 10))
	}
	g.connected(o.req.Command)
	if g.state.Device.Connected != g.busy.Load() {
		g.busy.Store(g.state.Device.Connected)
	}
	g.grow(o)
}

// measure counts the end of a command to the device, before the state forgets the command.
func (g *grain) measure(id lock.CommandID, at time.Time, outcome lock.Outcome) {
	for _, cmd := range g.state.Commands {
		if cmd.ID != id || cmd.Outcome == lock.Unknown {
			continue
		}
		g.metrics.opensBy[outcome].Inc()
		if outcome == lock.Opened || outcome == lock.Refused {
			sent := cmd.At
			if !cmd.SentAt.IsZero() {
				sent = cmd.SentAt // it was held until then
			}
			g.metrics.acknowledged.Observe(max(0, at.Sub(sent).Seconds()))
		}
	}
}

// fromDevice tells whether a command is the device's word about opens.
func fromDevice(c lock.Command) bool {
	switch c.(type) {
	case *lock.AnswerOpen, *lock.AnswerStatus:
		return true
	}
	return false
}

func stampOf(e lock.Event) lock.Stamp {
	if s, ok := e.(interface{ EventStamp() lock.Stamp }); ok {
		return s.EventStamp()
	}
	return lock.Stamp{}
}

// rejection turns the kernel's error into an answer.
func (g *grain) rejection(err error) *lock.Error {
	var rejected *lock.Error
	if errors.As(err, &rejected) {
		return rejected
	}
	g.Logger.Error("the kernel failed", slog.String("stream", g.stream()), slog.Any("error", err))
	return internalError()
}

func internalError() *lock.Error {
	return &lock.Error{Kind: lock.Busy, Reason: "internal-error", Message: "The lock failed to do that. Nothing was changed."}
}
