package cluster

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/asynkron/protoactor-go/remote"
)

// connections follows the connections to other nodes by protoactor's events.
type connections struct {
	sub    *eventstream.Subscription
	broken func(addr string)

	mu   sync.Mutex
	open map[string]bool // by address
}

func (c *connections) follow(system *actor.ActorSystem) {
	c.open = map[string]bool{}
	c.sub = system.EventStream.Subscribe(func(event any) {
		switch e := event.(type) {
		case *remote.EndpointConnectedEvent:
			c.mu.Lock()
			c.open[e.Address] = true
			c.mu.Unlock()
		case *remote.EndpointTerminatedEvent:
			c.mu.Lock()
			delete(c.open, e.Address)
			c.mu.Unlock()
			c.broken(e.Address)
		case *actor.DeadLetterEvent:
			if r, ok := e.Message.(Returnable); ok && e.Sender == nil {
				r.Returned()
			}
		}
	})
}

// close ends the connections that this node has opened.
func (c *connections) close(system *actor.ActorSystem) {
	c.mu.Lock()
	addrs := make([]string, 0, len(c.open))
	for addr := range c.open {
		addrs = append(addrs, addr)
	}
	c.mu.Unlock()
	for _, addr := range addrs {
		system.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: addr})
	}
}
