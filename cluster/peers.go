package cluster

import (
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"
)

// TellMember sends a message to what listens under a name on one member, which need not be where any grain is. It reports
// false, and has sent nothing, when this node's view has no such member. Messages to one member arrive in the order in which they
// were sent, as far as they arrive: the connection may break, and what was under way then is lost, or comes twice.
//
// The message has to be a protobuf message (or a remote.RootSerializable). One that is a Returnable hears when it is certain that
// it never left.
func (n *Node) TellMember(id, name string, msg any) bool {
	members := n.Members()
	i, found := slices.BinarySearchFunc(members, id, func(m Member, id string) int { return strings.Compare(m.ID, id) })
	if !found || !canTravel(msg) {
		n.metrics.dropped.Inc()
		return false
	}
	n.system.Root.Send(actor.NewPID(members[i].Addr, name), msg)
	return true
}

// TellLocal sends a message to a grain of this node, which is started when it is not running, and waits for nothing. It reports false,
// and has sent nothing, when the grain is another node's. A Returnable hears when the grain does not take the message.
func (n *Node) TellLocal(kind, identity string, msg any) bool {
	if owner := n.lookup.view.Load().owner(kind, hash(identity)); owner == nil || !owner.Self {
		return false
	}
	pid, err := n.lookup.locate(n.ctx, kind, identity) // asks nobody: the grain is this node's
	if err != nil {
		return false
	}
	n.system.Root.Send(pid, msg)
	return true
}

// Owner is the ID of the member that owns a grain, as this node sees it; empty when no member runs the kind.
func (n *Node) Owner(kind, identity string) string {
	if owner := n.lookup.view.Load().owner(kind, hash(identity)); owner != nil {
		return owner.ID
	}
	return ""
}

// Returnable is a message that wants to know when it certainly did not get to its receiver, and never will. It hears that only when
// nobody waits for its answer: who does is told, and a message that came back as well would be sent twice. Returned must not block.
type Returnable interface{ Returned() }

// Listen has receive called with each message that comes for a name, on the goroutine that reads the sender's connection. So
// receive must not block, and there is no queue that could run over: a sender that is too fast is slowed down by its connection.
// Messages of different members come at the same time.
func (n *Node) Listen(name string, receive func(msg any)) {
	n.system.ProcessRegistry.Add(&listener{receive}, name)
}

// listener is a process without a mailbox.
type listener struct{ receive func(msg any) }

var _ actor.Process = (*listener)(nil)

// SendUserMessage hands a message over.
func (l *listener) SendUserMessage(_ *actor.PID, message any) {
	_, msg, _ := actor.UnwrapEnvelope(message)
	l.receive(msg)
}

// SendSystemMessage does nothing: nobody supervises or watches a listener.
func (l *listener) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: the process lives as long as its system.
func (l *listener) Stop(*actor.PID) {}
