package cluster

import (
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
)

// ID is the name of this node among the members. It is another one after each start.
func (n *Node) ID() string { return n.system.ID }

// Follow calls changed whenever the members have changed, and lost with its address when the connection to another node has ended, until
// stop is called. Neither may wait: they are called where the node learns of it.
func (n *Node) Follow(changed func(), lost func(addr string)) (stop func()) {
	events := n.system.EventStream.Subscribe(func(event any) {
		switch e := event.(type) {
		case *pcluster.ClusterTopology:
			changed()
		case *remote.EndpointTerminatedEvent:
			lost(e.Address)
		}
	})
	return func() { n.system.EventStream.Unsubscribe(events) }
}
