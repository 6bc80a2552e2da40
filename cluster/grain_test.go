package cluster_test

import (
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchkey/latchkey/cluster"
)

// live is the set of activations of a child.
type live struct {
	node  atomic.Pointer[cluster.Node] // nil until it has started
	told  atomic.Int64                 // messages without a sender
	heard atomic.Int64                 // by the ear
	asked atomic.Int64                 // requests that stay unanswered
	late  atomic.Int64                 // the most requests that one activation has begun although its node knew that it is another's

	mu    sync.Mutex
	names map[string]int
}

func (l *live) add(identity string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names[identity] += n; l.names[identity] == 0 {
		delete(l.names, identity)
	}
}

// grain is an activation of a child. It answers a string with the node's ID.
type grain struct {
	*live
	strayed int64 // requests begun although the node knew better
}

func (g *grain) Receive(ctx actor.Context) {
	_, identity := cluster.Identity(ctx.Self())
	switch ctx.Message().(type) {
	case *actor.Started:
		g.add(identity, 1)
	case *actor.Stopped:
		g.add(identity, -1)
	case *wrapperspb.StringValue:
		g.check(identity, ctx.ActorSystem().ID)
		if ctx.Sender() == nil {
			g.told.Add(1)
			return
		}
		ctx.Respond(wrapperspb.String(ctx.ActorSystem().ID))
	case *emptypb.Empty:
		g.asked.Add(1)
	}
}

// check counts what is begun too late.
func (g *grain) check(identity, self string) {
	node := g.node.Load()
	if node == nil || node.Owner("grain", identity) == self {
		return
	}
	g.strayed++
	for most := g.late.Load(); g.strayed > most && !g.late.CompareAndSwap(most, g.strayed); most = g.late.Load() {
	}
}
