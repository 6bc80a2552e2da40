package cluster

import (
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	greeting        = "greeting"       // the name under which members hear that somebody would be connected to them
	greetEvery      = 2 * time.Second  // a member to which there is no connection
	greetSlack      = time.Second      // beyond a lease; etcd looks at these twice a second
	triedLongEnough = 10 * time.Second // to be sure that a member cannot be reached
)

// connections follows the connections to other nodes by protoactor's events, and has one made to every member, needed or not: that two
// members cannot reach each other must show before a request does not get through.
type connections struct {
	sub     *eventstream.Subscription
	broken  func(addr string)
	logger  *slog.Logger
	trouble *troubles
	wait    time.Duration // before a member is greeted: one that has been killed is none any more then

	mu      sync.Mutex
	open    map[string]bool      // by address
	missing map[string]time.Time // members without a connection, by address, since when

	done sync.WaitGroup
}

func (c *connections) follow(system *actor.ActorSystem) {
	c.open, c.missing = map[string]bool{}, map[string]time.Time{}
	c.sub = system.EventStream.Subscribe(func(event any) {
		switch e := event.(type) {
		case *remote.EndpointConnectedEvent:
			c.mu.Lock()
			c.open[e.Address] = true
			delete(c.missing, e.Address)
			c.mu.Unlock()
			if since, was := c.trouble.over(e.Address); was {
				c.logger.Info("connected to the other node again", slog.String("address", e.Address), slog.Duration("after", time.Since(since)))
			}
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

// greet keeps this node connected to all members until it leaves.
func (n *Node) greet() {
	tick := time.NewTicker(greetEvery)
	defer tick.Stop()
	for {
		select {
		case <-n.draining:
			return
		case <-n.ctx.Done():
			return
		case now := <-tick.C:
			for _, addr := range n.connections.look(n.Members(), now) {
				n.system.Root.Send(actor.NewPID(addr, greeting), &emptypb.Empty{})
			}
		}
	}
}

// look returns the addresses of the members to greet.
func (c *connections) look(members []Member, now time.Time) (addrs []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.missing
	c.missing = map[string]time.Time{}
	for _, m := range members {
		if m.Self || c.open[m.Addr] {
			continue
		}
		since, known := before[m.Addr]
		if !known {
			since = now
		}
		c.missing[m.Addr] = since
		if now.Sub(since) >= c.wait {
			addrs = append(addrs, m.Addr)
		}
	}
	return addrs
}

// unreachable counts the members that have been greeted in vain for some time.
func (c *connections) unreachable(now time.Time) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, since := range c.missing {
		if now.Sub(since) >= c.wait+triedLongEnough {
			n++
		}
	}
	return n
}

// close ends the connections that this node has opened.
func (c *connections) close(system *actor.ActorSystem) {
	c.done.Wait()
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
