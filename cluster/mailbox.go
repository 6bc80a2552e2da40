package cluster

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/latchkey/latchkey/cluster/clusterpb"
	"github.com/latchkey/latchkey/internal/ring"
	"github.com/latchkey/latchkey/internal/workers"
)

// Busy and Retry answer a request that was not executed. A grain that finds its memory stale answers Retry and stops itself.
// AskAgain is the answer of one that stops and may have executed the request, which the next one knows by its name.
var (
	Busy     = &clusterpb.Busy{}
	Retry    = &clusterpb.Retry{}
	AskAgain = &clusterpb.Retry{PerhapsExecuted: true}
)

// mailboxes is what the mailboxes of a node's grains share.
type mailboxes struct {
	system  *actor.ActorSystem
	logger  *slog.Logger
	metrics *metrics
	workers *workers.Pool[*mailbox]
	limit   int // requests that wait for one grain
	view    *atomic.Pointer[view]
	owned   func(pid *actor.PID) (view uint64, owned bool)
	stopped func(pid *actor.PID) // the grain is gone and its name is free
}

func (s *mailboxes) produce() actor.Mailbox { return &mailbox{shared: s} }

// A mailbox is bounded and never leaves a sender without an answer: a request that finds it full is answered Busy at once,
// and what waits behind a Stop is answered Retry at once. An idle one holds no buffer, since most grains are idle.
//
// It also looks at the node's view before each message: from the moment in which that gives the grain to another node the
// grain executes nothing more, also when thousands move at once and it is not its turn yet to be told to stop.
type mailbox struct {
	shared  *mailboxes
	invoker actor.MessageInvoker

	mu        sync.Mutex
	users     ring.Ring[any]
	system    []any
	scheduled bool // a goroutine runs, or is about to
	suspended bool // a failure is being handled
	stopping  bool // a Stop was taken out: nothing more is executed
	moved     bool // the grain is another node's under the view seen: the same, and a Stop is to come
	seen      uint64
	gone      bool // the actor has stopped
}

// RegisterHandlers is called once, before the first message.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}

// Start does nothing: the first message starts the mailbox.
func (m *mailbox) Start() {}

// UserMessageCount returns how many messages wait.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.users.Len()
}

// PostUserMessage puts a message in, or answers it.
func (m *mailbox) PostUserMessage(msg any) {
	sender := actor.UnwrapEnvelopeSender(msg)
	limit := m.shared.limit
	if sender == nil {
		limit *= 2
	}
	m.mu.Lock()
	if m.refuses() {
		m.mu.Unlock()
		m.shared.refuse(msg, Retry)
		return
	}
	if m.users.Len() >= limit {
		m.mu.Unlock()
		m.shared.metrics.overflows.Inc()
		m.shared.refuse(msg, Busy)
		return
	}
	m.users.Push(msg)
	m.schedule()
	m.mu.Unlock()
}

// PostSystemMessage puts in a message of the actor's life cycle; these are few and have no bound.
func (m *mailbox) PostSystemMessage(msg any) {
	m.mu.Lock()
	m.system = append(m.system, msg)
	m.schedule()
	m.mu.Unlock()
}

// schedule wants mu held.
func (m *mailbox) schedule() {
	if !m.scheduled {
		m.scheduled = true
		m.shared.workers.Run(m)
	}
}

func (m *mailbox) run() {
	for m.drain() {
	}
}

// drain invokes messages until there are none; it reports whether it was cut off by a panic and wants to be called again.
func (m *mailbox) drain() (again bool) {
	var msg any
	defer func() {
		if reason := recover(); reason != nil {
			m.failed(reason, msg)
			again = true
		}
	}()
	for {
		var system, ok bool
		if msg, system, ok = m.next(); !ok {
			return false
		}
		switch msg.(type) {
		case *actor.SuspendMailbox, *actor.ResumeMailbox, nil:
			continue // next has seen to them
		}
		if !system {
			m.invoker.InvokeUserMessage(msg)
			continue
		}
		m.invoker.InvokeSystemMessage(msg)
		m.finish()
	}
}

// next takes the next message out, system messages first. Without one the goroutine ends.
func (m *mailbox) next() (msg any, system, ok bool) {
	m.mu.Lock()
	if len(m.system) > 0 {
		msg = m.system[0]
		if m.system = m.system[1:]; len(m.system) == 0 {
			m.system = nil
		}
		var rejected ring.Ring[any]
		switch msg.(type) {
		case *actor.SuspendMailbox:
			m.suspended = true
		case *actor.ResumeMailbox:
			m.suspended = false
		case *actor.Stop:
			m.stopping = true
			rejected, m.users = m.users, ring.Ring[any]{}
		}
		m.mu.Unlock()
		m.shared.refuseAll(rejected)
		return msg, true, true
	}
	if m.users.Len() > 0 && m.refuses() {
		rejected := m.users
		m.users = ring.Ring[any]{}
		m.mu.Unlock()
		m.shared.refuseAll(rejected)
		return nil, false, true
	}
	if m.users.Len() > 0 && !m.suspended {
		msg = m.users.Pop()
		m.mu.Unlock()
		return msg, false, true
	}
	m.users.Release(0)
	m.scheduled = false
	m.mu.Unlock()
	return nil, false, false
}

// refuses tells whether nothing is executed any more. It wants mu held.
func (m *mailbox) refuses() bool {
	if v := m.shared.view.Load(); v.number != m.seen && !m.stopping {
		var owned bool
		m.seen, owned = m.shared.owned(m.self())
		m.moved = !owned
	}
	return m.stopping || m.moved
}

// finish reports the end of an actor that was stopped, as soon as its name is free.
func (m *mailbox) finish() {
	if !m.stopping || m.gone { // both are only written by the goroutine that runs
		return
	}
	self := m.self()
	if _, alive := m.shared.system.ProcessRegistry.GetLocal(self.Id); alive {
		return // it waits for its children
	}
	m.gone = true
	m.shared.stopped(self)
}

// failed handles a panic of the actor: the sender learns that the outcome is unknown, and supervision restarts the actor
// with fresh state. An actor that panics while it stops is stopped.
func (m *mailbox) failed(reason, msg any) {
	self := m.self()
	m.shared.metrics.panics.Inc()
	m.shared.logger.Error("grain panicked", slog.String("grain", self.GetId()), slog.Any("reason", reason))
	if m.stopping {
		m.shared.system.ProcessRegistry.Remove(self)
		m.finish()
		return
	}
	if sender := actor.UnwrapEnvelopeSender(msg); sender != nil {
		m.shared.system.Root.Send(sender, &clusterpb.Failed{Reason: fmt.Sprint(reason)})
	}
	m.invoker.EscalateFailure(reason, msg)
}

func (m *mailbox) self() *actor.PID { return m.invoker.(interface{ Self() *actor.PID }).Self() }

func (s *mailboxes) refuseAll(messages ring.Ring[any]) {
	for messages.Len() > 0 {
		s.refuse(messages.Pop(), Retry)
	}
}

// refuse tells the sender of a message what became of it; without one the message itself.
func (s *mailboxes) refuse(message, what any) {
	_, msg, sender := actor.UnwrapEnvelope(message)
	if sender != nil {
		s.system.Root.Send(sender, what)
		return
	}
	s.metrics.dropped.Inc()
	if r, ok := msg.(Returnable); ok {
		r.Returned()
	}
}
