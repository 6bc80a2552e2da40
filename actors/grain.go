package actors

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/cluster/clusterpb"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// phase is where a grain is in its life.
type phase uint8

const (
	cold     phase = iota // nothing was asked of it yet
	loading               // requests wait in the stash
	ready                 // the state is there
	stopping              // nothing is executed any more
)

// grain is the actor of one lock. Except for the atomic fields it belongs to the goroutine of its mailbox. There may be
// a hundred thousand of them that do nothing, so what is not needed then is nil.
type grain struct {
	*shell
	system *actor.ActorSystem
	pid    *actor.PID
	nonce  uint64 // of this activation, in the IDs of its own appends

	state *lock.State
	phase phase
	stash []call

	since  time.Duration // when it took its first state over, as shell.now
	parked []call        // opens that wait for the device's session to tell of itself

	queue    []op   // decided and not yet said, in order
	covered  int    // how many of them, from the first, are said when the append in flight is durable; 0: none is in flight
	over     int    // how many of them, from the first, the journal has answered: they are not staged any more
	finished int    // how many of those were finished, or began to be
	expected uint64 // the stream's version before that append
	lingers  bool   // nobody waited for it when it was submitted
	unknown  []op   // of an append whose outcome the load that runs finds out

	// What others tell the grain. They send a wake after it, which may get lost when the mailbox is full: then the grain
	// sees it with the next message.
	settled atomic.Bool    // the journal has answered the append in flight
	wanted  atomic.Bool    // somebody waits for that: the journal sends a wake
	answer  journal.Result // what it said; written before settled is set
	loaded  atomic.Pointer[image]
	fired   atomic.Bool          // the timer has
	owed    atomic.Pointer[[]op] // what the journal's answer still has to be told, when the grain has gone

	withheld *withheld // when it has gone

	session lock.Session // that is connected, as far as was told; its end may be in what was dropped

	waiters []waiter
	recent  []remembrance
	current *actor.PID // who waits for the command that is being decided
	timer   *time.Timer
	armed   time.Duration // when the timer fires; 0: it does not

	unsaved int // records since the last snapshot
	growth  int // their bytes
	saved   int // bytes of the last snapshot

	used atomic.Int64 // when it was last called, as shell.now
	busy atomic.Bool  // the sweeper need not ask: its device is connected
	lean atomic.Bool  // it holds nothing that the sweeper could make it drop
}

// call is a request with the process that waits for the answer, if there is one.
type call struct {
	req  *Request
	from *actor.PID
}

// The messages that a grain gets from this package.
type (
	wake struct{} // look at what others told
	rest struct{} // from the sweeper: drop what is not needed, or stop
)

// IgnoreDeadLetterLogging says that nothing is lost when the grain is gone by the time that the message comes.
func (wake) IgnoreDeadLetterLogging() {}
func (rest) IgnoreDeadLetterLogging() {}

// Receive handles one message. A panic leaves the state suspect: the caller is told, and the grain starts anew.
func (g *grain) Receive(ctx actor.Context) {
	defer func() {
		if reason := recover(); reason != nil {
			g.panicked(ctx, reason)
		}
	}()
	if _, last := ctx.Message().(*actor.Stopping); last { // whatever it could begin is for the next activation
		if g.settled.Load() {
			g.settle(ctx)
		}
		g.stop()
		return
	}
	if g.settled.Load() && g.settle(ctx) {
		g.submit()
	}
	if g.loaded.Load() != nil {
		g.takeOver(ctx)
	}
	if g.fired.Load() {
		g.alarm()
	}
	switch m := ctx.Message().(type) {
	case *Request:
		g.request(ctx, call{req: m, from: ctx.Sender()})
	case *actorspb.IncomingRequest:
		req, err := requestOf(m)
		if err != nil {
			g.tell(ctx.Sender(), &Response{Err: &lock.Error{Kind: lock.Invalid, Reason: "message-unknown", Message: err.Error()}})
			return
		}
		g.request(ctx, call{req: req, from: ctx.Sender()})
	case rest:
		g.rest(ctx)
	case departed:
		g.part(m)
	case *actor.Started:
		g.init(ctx)
	}
	g.unpark(ctx)
	g.watchKernel()
}

func (g *grain) init(ctx actor.Context) {
	g.system, g.pid = ctx.ActorSystem(), ctx.Self()
	g.nonce = rand.Uint64()
	g.used.Store(int64(g.now()))
	g.lean.Store(true)
	g.enter(g)
}

// stream is the name of the lock's stream, which is that of the grain's process: the kind, a slash and the lock's ID.
func (g *grain) stream() string { return g.pid.Id }

// request executes a command, or keeps it until the state is there.
func (g *grain) request(ctx actor.Context, c call) {
	g.used.Store(int64(g.now()))
	switch g.phase {
	case ready:
		if g.park(c) {
			return
		}
		g.current = c.from
		g.execute(c)
		g.current = nil
	case stopping:
		g.sendBack(c, cluster.Retry)
	default:
		if len(g.stash) >= maxStash {
			g.sendBack(c, cluster.Busy)
			return
		}
		g.stash = append(g.stash, c)
		g.metrics.stashed.Inc()
		if g.phase == cold {
			g.load(ctx)
		}
	}
}

// panicked answers the one whose message it was, and stops the grain: the next call starts a new one from the journal.
func (g *grain) panicked(ctx actor.Context, reason any) {
	g.metrics.panics.Inc()
	g.Logger.Error("the grain of a lock panicked", slog.String("stream", g.stream()), slog.Any("reason", reason),
		slog.String("stack", string(debug.Stack())))
	from := ctx.Sender()
	if g.current != nil {
		from = g.current
	}
	g.tell(from, &clusterpb.Failed{Reason: fmt.Sprint(reason)})
	if r, ok := ctx.Message().(*Request); ok && ctx.Sender() == nil && r.mail != nil {
		r.mail.lost(r.to, r) // it may be the reason, so that it is not told again as it is
	}
	g.unsaved = 0 // the state is suspect, and no snapshot is made of it
	g.quit(ctx)
}

// quit stops the grain. Whoever waits is sent to the next activation, and the session of the device is told to it.
func (g *grain) quit(ctx actor.Context) {
	if g.phase != stopping {
		g.recall()
		g.stop()
		ctx.Stop(ctx.Self())
	}
}

// stop lets go of everything. Nothing more is executed, and what is in flight is for the next activation to find out.
func (g *grain) stop() {
	if g.phase == stopping {
		return
	}
	if g.phase == ready && len(g.queue) == 0 && g.unsaved >= worthSaving {
		g.save(g.snapshot())
	}
	g.phase = stopping
	g.leave(g)
	if g.timer != nil {
		g.timer.Stop()
	}
	stored := 0
	if g.over > 0 && g.answer.Err == nil { // what was finished halfway, when it panicked, has happened all the same
		stored = g.over
	}
	if len(g.waiters)+g.covered+stored > 0 {
		g.withheld = newWithheld(g, g.covered+stored)
	}
	for i := range g.waiters {
		g.waiters[i].giveUp(g)
	}
	for i := max(0, g.finished-1); i < stored; i++ {
		if i >= g.finished {
			g.deliverAll(&g.queue[i])
		}
		g.queue[i].sayLast(g, nil)
	}
	g.owe(slices.Clone(g.queue[:g.covered]))
	for i := range g.unknown {
		g.unknown[i].say(g, g.unknown[i].lastWord(journal.ErrUnknown))
	}
	for i := range g.queue[g.covered+stored:] {
		g.queue[g.covered+stored+i].say(g, cluster.Retry)
	}
	for _, ops := range [][]op{g.unknown, g.queue[stored:]} {
		for i := range ops {
			g.passOn(ops[i].call)
		}
	}
	for _, calls := range [][]call{g.stash, g.parked} {
		for _, c := range calls {
			g.sendBack(c, cluster.Retry)
		}
	}
	g.metrics.waiting.Add(-int64(len(g.waiters)))
	g.metrics.staged.Add(-int64(len(g.queue) - g.covered - g.over))
	g.metrics.stashed.Sub(float64(len(g.stash) + len(g.parked)))
	g.waiters, g.unknown, g.queue, g.stash, g.parked, g.recent, g.covered, g.over, g.finished = nil, nil, nil, nil, nil, nil, 0, 0, 0
}

// sendBack does not execute a command. Whoever waits is told why; what nobody waits for is told anew.
func (g *grain) sendBack(c call, why any) {
	g.tell(c.from, why)
	g.passOn(c)
}

// passOn sends what a device has said to the next activation. Nobody else would: a device says nothing twice, and who waited for
// its answer may have been told already. What the mail has brought it brings again.
func (g *grain) passOn(c call) {
	if _, said := sessionBehind(c.req.Command); !said || c.from != nil {
		return
	}
	if id, err := lockOf(g.pid.Id); err == nil {
		g.mail.put(id, c.req)
	}
}

// tell sends a message to the process that waits for an answer, if one does.
func (g *grain) tell(to *actor.PID, msg any) {
	if to != nil {
		g.system.Root.Send(to, msg)
	}
}
