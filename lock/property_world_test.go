package lock

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// world is one lock with all that happens around it. State and journal are the shell's; everything else is a model that
// is much simpler than the code, and knows what really happened.
type world struct {
	now      time.Time
	s        *State    // evolved by all that was decided, as in the shell
	journal  []Event   // as they come back from it
	staged   []*staged // decided, not durable
	lines    []*line   // effects on their way, a line for each activation of the grain: old ones may be late
	acks     []ack
	paranoid bool // look whether Decide changes anything

	device  device
	sockets []*socket

	ids      int // of requests, commands and sessions
	keys     []*key
	live     map[TempKeyID]*key // durable, not deleted
	requests map[RequestID]*asked
	commands map[CommandID]*command
}

type staged struct {
	ack
	err     error
	records []Event
	effects []Effect
	durable func() // called when it is
}

// ack is a reply that waits; done tells the model that it was given.
type ack struct {
	Decision
	done func()
}

type line struct{ effects []Effect }

// key is one life of a temporary key.
type key struct {
	id      TempKeyID
	terms   []TempKey // each version of its terms, in the order of the journal
	acked   int       // the version that was acknowledged last
	used    int64
	revoked bool // and somebody was told so
}

type asked struct {
	key      *key
	command  CommandID
	user     UserID
	left     bool // its command, before it was sent
	refunded bool
	outcome  Outcome
}

type command struct {
	requests []RequestID
	deadline time.Time
	moved    int
	dead     bool // said to have been refused or expired
}

func newWorld(t *rapid.T) *world {
	w := &world{
		now: noon, s: new(State), lines: []*line{{}}, paranoid: rapid.IntRange(0, 15).Draw(t, "paranoid") == 0,
		live: map[TempKeyID]*key{}, requests: map[RequestID]*asked{}, commands: map[CommandID]*command{},
	}
	w.device = device{boot: 1, seen: map[CommandID]CommandStatus{}, w: w, journal: rapid.IntRange(0, 4).Draw(t, "caps") > 0}
	w.device.keeps = rapid.IntRange(0, 3).Draw(t, "keeps keys") > 0
	if rapid.Bool().Draw(t, "slow clock") {
		w.device.behind = 200 * time.Millisecond
	}
	w.do(t, &CreateLock{By: Caller{OrgID: "acme"}, ID: 1, UUID: "6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b", Index: 1}, nil)
	if rapid.Bool().Draw(t, "connected") {
		w.connect(t)
		w.flow(t)
	}
	for n := rapid.IntRange(0, 2).Draw(t, "keys"); n > 0; n-- {
		until := rapid.SampledFrom([]time.Duration{time.Hour, 3 * time.Second, 8 * time.Second}).Draw(t, "until")
		w.do(t, &CreateTempKey{By: Caller{OrgID: "acme"}, UUID: name(n), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(until)}, nil)
	}
	return w
}

// do is the shell: decide, stage, evolve. Effects and the reply leave when the events are durable.
func (w *world) do(t *rapid.T, c Command, done func(Decision, error)) *staged {
	var before string
	device := w.s.Device
	if w.paranoid {
		before = marshal(t, w.s)
	}
	d, err := Decide(w.s, c, w.now)
	if w.paranoid {
		require.Equal(t, before, marshal(t, w.s), "Decide changed the state")
		require.Equal(t, device, w.s.Device, "Decide changed the device")
	}
	if err != nil {
		require.Empty(t, d, "a rejection must do nothing")
	} else {
		require.NotNil(t, d.Reply)
	}
	step := &staged{ack: ack{Decision: d, done: func() {}}, err: err, effects: d.Effects, durable: func() {}}
	if done != nil {
		step.done = func() { done(d, err) }
	}
	for _, e := range d.Events {
		if Journaled(e) {
			step.records = append(step.records, stored(t, e))
		}
		Evolve(w.s, e)
	}
	require.LessOrEqual(t, len(w.s.Commands), maxCommands)
	w.staged = append(w.staged, step)
	return step
}

// commit makes the oldest n decisions durable.
func (w *world) commit(t *rapid.T, n int) {
	for _, step := range w.staged[:n] {
		for _, e := range step.records {
			w.journal = append(w.journal, e)
			w.observe(t, e)
		}
		step.durable()
		now := w.lines[len(w.lines)-1]
		now.effects = append(now.effects, step.effects...)
		w.acks = append(w.acks, step.ack)
	}
	w.staged = append([]*staged(nil), w.staged[n:]...)
	w.check(t)
}

// observe is what the model learns from the journal, and what it holds against it.
func (w *world) observe(t *rapid.T, e Event) {
	switch e := e.(type) {
	case *TempKeyCreated:
		require.Nil(t, w.live[e.Key.UUID])
		k := &key{id: e.Key.UUID, terms: []TempKey{e.Key}}
		w.keys, w.live[k.id] = append(w.keys, k), k
	case *TempKeyUpdated:
		k := w.live[e.TempKeyID]
		terms := k.terms[len(k.terms)-1]
		terms.apply(e.Changes)
		k.terms = append(k.terms, terms)
	case *TempKeyDeleted:
		delete(w.live, e.TempKeyID)
	case *TempKeyUsed:
		k := w.live[e.TempKeyID]
		k.used++
		require.Equal(t, k.used, e.UsedCount, "a use was counted wrongly")
		limit := k.terms[len(k.terms)-1].MaxUses
		require.True(t, limit == nil || k.used <= *limit, "%s is used more often than it may be", k.id)
	case *TempKeyUseReturned:
		r := w.requests[e.RequestID]
		require.Same(t, w.live[e.TempKeyID], r.key, "a use came back to another key")
		require.False(t, r.refunded, "the use of %s came back twice", e.RequestID)
		require.True(t, r.left || w.commands[r.command].moved == 0, "the use of %s came back though the door opened", e.RequestID)
		r.refunded = true
		r.key.used--
		require.Equal(t, r.key.used, e.UsedCount, "a use came back wrongly")
	case *LockOpenRequested:
		require.Nil(t, w.requests[e.RequestID], "%s was accepted twice", e.RequestID)
		w.requests[e.RequestID] = &asked{command: e.CommandID, user: e.UserID, key: w.live[e.TempKeyID]}
		cmd := w.commands[e.CommandID]
		require.Equal(t, cmd != nil, e.Joined)
		if cmd == nil {
			cmd = &command{deadline: e.Deadline}
			w.commands[e.CommandID] = cmd
		}
		cmd.requests = append(cmd.requests, e.RequestID)
		w.requests[e.RequestID].outcome = Sent
		if e.Held {
			w.requests[e.RequestID].outcome = Reserved
		}
	case *LockOpenSent:
		cmd := w.commands[e.CommandID]
		require.False(t, e.Deadline.After(cmd.deadline), "a deadline was put off")
		cmd.deadline = e.Deadline
		w.turned(cmd, Sent)
	case *LockOpened:
		require.Equal(t, 1, w.commands[e.CommandID].moved, "%s is said to have opened", e.CommandID)
		require.NotEqual(t, CommandMoved, w.device.seen[e.CommandID], "%s jammed, and is said to have opened", e.CommandID)
		w.turned(w.commands[e.CommandID], Opened)
	case *LockOpenFailed:
		cmd := w.commands[e.CommandID]
		switch {
		case e.RequestID != "":
			require.Zero(t, cmd.moved)
			w.requests[e.RequestID].left, w.requests[e.RequestID].outcome = true, e.Outcome
			return
		case e.Outcome != Unknown:
			require.Zero(t, cmd.moved, "%s is said not to have opened", e.CommandID)
			cmd.dead = true
		}
		w.turned(cmd, e.Outcome)
	}
}

// turned gives an outcome to all the requests that are still in a command.
func (w *world) turned(cmd *command, o Outcome) {
	for _, id := range cmd.requests {
		if r := w.requests[id]; !r.left {
			r.outcome = o
		}
	}
}

// moved is told by the device's motor.
func (w *world) moved(t *rapid.T, id CommandID) {
	cmd := w.commands[id]
	require.NotNil(t, cmd, "an open left before it was durable")
	cmd.moved++
	require.Equal(t, 1, cmd.moved, "one command moved the motor twice")
	require.False(t, cmd.dead, "the motor moved for %s, which is said to have failed", id)
	told := w.now.Add(-w.device.behind) // by the device's clock
	require.False(t, told.After(cmd.deadline), "the motor moved late")
	for _, rid := range cmd.requests {
		r := w.requests[rid]
		if r.left || r.key == nil {
			continue
		}
		require.False(t, r.refunded, "the motor moved for %s after its use came back", rid)
		require.False(t, r.key.revoked, "%s opened after its revocation was acknowledged", r.key.id)
		covered := false
		for _, terms := range r.key.terms[r.key.acked:] {
			covered = covered || !w.now.Before(terms.ValidFrom) && told.Before(terms.ValidUntil) && terms.mayUse(r.user) &&
				(terms.Schedule == nil || w.now.Minute()%2 == 0 || told.Minute()%2 == 0)
		}
		require.True(t, covered, "%s opened against its terms", r.key.id)
	}
}

// crash ends the activation: what was not durable never happened, what is on its way may arrive late, or not at all.
func (w *world) crash(t *rapid.T) {
	t.Logf("    loses %d decisions that were not durable", len(w.staged))
	w.staged = nil
	w.s = w.replay(0, new(State))
	Activate(w.s, w.now)
	w.acks = nil
	if !rapid.Bool().Draw(t, "old effects still on their way") {
		w.lines = nil
	}
	w.lines = append(w.lines, &line{})
}

// conflict makes the shell load its state again, and carry the session over.
func (w *world) conflict(t *rapid.T) {
	before := w.s.Device
	w.crash(t)
	if before.Connected {
		w.do(t, &KeepDevice{Device: before}, nil)
	}
}

func (w *world) next(prefix string) string {
	w.ids++
	return fmt.Sprintf("%s%d", prefix, w.ids)
}
