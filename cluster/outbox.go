package cluster

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
)

// maxWaiting is how many messages wait for the connection to one node. In good order there are some hundred at most, while
// callers without number are served; a node that has stopped reading without a word may not cost more than these.
const maxWaiting = 8192

// outboxes stand before protoactor's queues to other nodes, which have no bound. Every message to another node goes through
// here, whoever sends it.
type outboxes struct {
	system  *actor.ActorSystem
	remote  *remote.Remote
	metrics *metrics

	mu  sync.RWMutex
	all map[string]*outbox // by address; an entry for every node there has been
}

// outbox is the process to which protoactor gives all messages to one node.
type outbox struct {
	of    *outboxes
	queue atomic.Pointer[queue]
}

var _ actor.Process = (*outbox)(nil)

// queue counts what waits for one connection. The next connection gets another, because nobody counts what a connection that
// broke leaves behind.
type queue struct{ waiting atomic.Int64 }

// newOutboxes takes the way to other nodes over. It is called before the remote starts, which would take it otherwise.
func newOutboxes(system *actor.ActorSystem, r *remote.Remote, m *metrics) *outboxes {
	o := &outboxes{system: system, remote: r, metrics: m, all: map[string]*outbox{}}
	system.ProcessRegistry.RegisterAddressResolver(func(pid *actor.PID) (actor.Process, bool) { return o.to(pid.Address), true })
	return o
}

func (o *outboxes) to(addr string) *outbox {
	o.mu.RLock()
	box := o.all[addr]
	o.mu.RUnlock()
	if box != nil {
		return box
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if box = o.all[addr]; box == nil {
		box = &outbox{of: o}
		box.queue.Store(new(queue))
		o.all[addr] = box
	}
	return box
}

// broken is called when a connection has ended.
func (o *outboxes) broken(addr string) { o.to(addr).queue.Store(new(queue)) }

// waiting is how many messages wait, for all nodes together.
func (o *outboxes) waiting() (n int64) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, box := range o.all {
		n += box.queue.Load().waiting.Load()
	}
	return n
}

// SendUserMessage puts a message into the queue, or says at once that there is no room.
func (b *outbox) SendUserMessage(to *actor.PID, message any) {
	header, msg, sender := actor.UnwrapEnvelope(message)
	q := b.queue.Load()
	if q.waiting.Add(1) > maxWaiting {
		q.waiting.Add(-1)
		b.of.refuse(sender, msg)
		return
	}
	b.of.remote.SendMessage(to, header, &queued{message: msg, in: q}, sender, -1)
}

func (o *outboxes) refuse(sender *actor.PID, msg any) {
	o.metrics.outboxFull.Inc()
	if sender != nil {
		o.system.Root.Send(sender, Busy)
		return
	}
	o.metrics.dropped.Inc()
	if r, ok := msg.(Returnable); ok {
		r.Returned()
	}
}

// SendSystemMessage does nothing: no actor here stops or watches one of another node.
func (b *outbox) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: actors of another node are stopped by that.
func (b *outbox) Stop(*actor.PID) {}

// queued is a message that waits. It leaves the count when the connection takes it to be written.
type queued struct {
	message any
	in      *queue
}

var (
	_ remote.RootSerializable = (*queued)(nil)
	_ Returnable              = (*queued)(nil)
)

// Serialize is called in the moment in which the message is written, and not before: some tell how much time is left.
func (q *queued) Serialize() (remote.RootSerialized, error) {
	q.in.waiting.Add(-1)
	switch m := q.message.(type) {
	case remote.RootSerializable:
		return m.Serialize()
	case proto.Message:
		return plain{m}, nil
	}
	return nil, ErrMessage
}

// Returned tells a message that it never left.
func (q *queued) Returned() {
	if r, ok := q.message.(Returnable); ok {
		r.Returned()
	}
}

// plain is a protobuf message in the form that protoactor wants of a message that was turned into one.
type plain struct{ proto.Message }

// Deserialize is never called: the message arrives as what it is.
func (plain) Deserialize() (remote.RootSerializable, error) { return nil, ErrMessage }
