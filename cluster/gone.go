package cluster

import (
	"slices"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"
)

// lastWords is how long requests still wait for a member that is none any more. One that left in good order answers what it has
// taken; one that is frozen, or cut off, has not closed its connections and would let its callers wait out their time.
const lastWords = 3 * time.Second

// publish tells the actor system who the members are. protoactor's MemberList is left out: it would end the connection to a
// member at the moment in which that leaves, with all that is under way. A member that has gone ends it itself.
func (n *Node) publish(members []Member) {
	before := n.Members()
	n.system.EventStream.Publish(&pcluster.ClusterTopology{Members: toProto(members)})
	for _, m := range before {
		if !m.Self && !at(members, m.Addr) {
			time.AfterFunc(lastWords, func() { n.memberGone(m.Addr) })
		}
	}
}

// at tells whether there is a member at an address. A node that is started again has its address, but another ID.
func at(members []Member, addr string) bool {
	return slices.ContainsFunc(members, func(m Member) bool { return m.Addr == addr })
}

// memberGone ends the requests that still wait for a member that has left.
func (n *Node) memberGone(addr string) {
	if !at(n.Members(), addr) {
		n.replies.fail(addr)
	}
}

// connectionLost ends the requests that wait for a node whose connection broke, and forgets where its grains are, so that
// the next ones ask first: a question may be asked twice, a message may not be sent twice.
func (n *Node) connectionLost(addr string) {
	n.lookup.view.Load().pids.Purge()
	n.outboxes.broken(addr)
	n.replies.fail(addr)
}
