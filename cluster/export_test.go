package cluster

import (
	"maps"
	"net"

	"github.com/asynkron/protoactor-go/actor"
)

// Each calls f for every grain that runs on this node. No lock is held while f runs.
func (n *Node) Each(f func(kind, identity string, pid *actor.PID)) {
	for kind, a := range n.lookup.kinds {
		for i := range a.shards {
			s := &a.shards[i]
			s.mu.RLock()
			grains := maps.Clone(s.grains)
			s.mu.RUnlock()
			for identity, pid := range grains {
				f(kind, identity, pid)
			}
		}
	}
}

// Count is how many grains of a kind run on this node.
func (n *Node) Count(kind string) int {
	if a := n.lookup.kinds[kind]; a != nil {
		return a.count()
	}
	return 0
}

// MaxStrangers is how many connections may not have shown a certificate yet.
const MaxStrangers = maxStrangers

// Strangers gives what lets connections in as those of strangers.
func Strangers() func(net.Conn) (leave func()) { return new(strangers).enter }
