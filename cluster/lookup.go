package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/eventstream"

	"github.com/latchkey/latchkey/cluster/clusterpb"
	"github.com/latchkey/latchkey/internal/planted"
)

const (
	// placementActors is how many actors of a node answer the others' questions for grains. Whoever asks chooses one by this number, so
	// all nodes must have the same.
	placementActors = 8
	// placementTimeout bounds one question to another node's placement actor; asking again is harmless.
	placementTimeout = 250 * time.Millisecond
)

var (
	errNoOwner  = errors.New("no member runs the kind")
	errNotOwner = errors.New("this node does not own the identity")
)

// lookup finds and starts grains. It is protoactor's IdentityLookup, and the only place that knows which node owns what.
type lookup struct {
	system  *actor.ActorSystem
	logger  *slog.Logger
	metrics *metrics
	replies *replies
	kinds   map[string]*activations
	mailbox actor.MailboxProducer

	view  atomic.Pointer[view]
	sub   *eventstream.Subscription
	place []*actor.PID
}

var _ pcluster.IdentityLookup = (*lookup)(nil)

// Setup starts the placement actors and follows the topology.
func (l *lookup) Setup(c *pcluster.Cluster, _ []string, _ bool) {
	for i := range placementActors {
		pid, err := l.system.Root.SpawnNamed(actor.PropsFromFunc(l.receive, actor.WithMailbox(l.mailbox)), placementName(i))
		if err != nil {
			panic(err) // the actor system is new and ours: the name is free
		}
		l.place = append(l.place, pid)
	}
	l.sub = l.system.EventStream.Subscribe(func(event any) {
		if t, ok := event.(*pcluster.ClusterTopology); ok {
			l.follow(t.Members)
		}
	})
}

// Shutdown stops the placement actors.
func (l *lookup) Shutdown() {
	l.system.EventStream.Unsubscribe(l.sub)
	for _, pid := range l.place {
		l.system.Root.Stop(pid)
	}
	l.place = nil
}

// Get returns the process of a grain, which it starts when it is not running; nil when that takes too long.
func (l *lookup) Get(id *pcluster.ClusterIdentity) *actor.PID {
	ctx, cancel := context.WithTimeout(context.Background(), placementTimeout)
	defer cancel()
	pid, err := l.locate(ctx, id.Kind, id.Identity)
	if err != nil {
		return nil
	}
	return pid
}

// RemovePid forgets the process of a grain on another node.
func (l *lookup) RemovePid(id *pcluster.ClusterIdentity, _ *actor.PID) {
	l.forget(id.Kind, id.Identity)
}

func (l *lookup) forget(kind, identity string) { l.view.Load().pids.Remove(grainKey{kind, identity}) }

// locate returns the process of a grain. It asks another node only when that one owns the identity and its process is not
// known; everything else happens in this call.
func (l *lookup) locate(ctx context.Context, kind, identity string) (*actor.PID, error) {
	v, h := l.view.Load(), hash(identity)
	owner := v.owner(kind, h)
	switch {
	case owner == nil && l.kinds[kind] == nil:
		return nil, fmt.Errorf("%w: %q", ErrKind, kind)
	case owner == nil:
		return nil, errNoOwner
	case owner.Self:
		a := l.kinds[kind]
		if pid := a.shard(h).get(identity); pid != nil {
			return pid, nil
		}
		return l.activate(a, identity, h)
	}
	key := grainKey{kind, identity}
	if pid, ok := v.pids.Get(key); ok {
		return pid, nil
	}
	pid, err := l.ask(ctx, owner, h, key)
	if err != nil {
		return nil, err
	}
	v.pids.Add(key, pid)
	return pid, nil
}

// activate starts a grain on this node, unless it runs or is not this node's. Ownership is looked at under the lock that
// follow takes after it has stored a new view: either this sees the new view, or follow sees the new grain.
func (l *lookup) activate(a *activations, identity string, h uint64) (pid *actor.PID, err error) {
	s := a.shard(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	if pid := s.grains[identity]; pid != nil {
		return pid, nil
	}
	if !mayRun(l.view.Load(), a.kind, h) {
		return nil, errNotOwner
	}
	defer func() {
		if reason := recover(); reason != nil {
			l.logger.Error("grain cannot be constructed", slog.String("kind", a.kind), slog.Any("reason", reason))
			pid, err = nil, fmt.Errorf("%w: construct %s/%s: %v", ErrFailed, a.kind, identity, reason)
		}
	}()
	pid, err = l.system.Root.SpawnNamed(a.props, a.kind+"/"+identity)
	if err != nil {
		return nil, err // the name is taken by one that stops; it is free in a moment
	}
	a.put(s, pid)
	l.metrics.activations.Inc()
	return pid, nil
}

// mayRun tells whether this node may run a grain under a view.
func mayRun(v *view, kind string, h uint64) bool {
	return v.owns(kind, h) || planted.Has(planted.PlacementWithoutOwner)
}

// ask lets the owner start the grain, when it is not running, and tell its process.
func (l *lookup) ask(ctx context.Context, owner *Member, h uint64, key grainKey) (*actor.PID, error) {
	target := actor.NewPID(owner.Addr, placementName(int(h>>32)%placementActors))
	answer, err := l.replies.request(ctx, target, &clusterpb.Activate{Kind: key.kind, Identity: key.identity}, placementTimeout)
	if err != nil {
		return nil, err
	}
	a, ok := answer.(*clusterpb.Activation)
	if !ok {
		if answer == Busy { // this node's own word, for too much waits for the connection; that of the other is asked again
			return nil, ErrBusy
		}
		return nil, fmt.Errorf("placement answered %T", answer)
	}
	switch a.Status {
	case clusterpb.Activation_STATUS_ACTIVE:
		return actor.NewPID(owner.Addr, a.Id), nil
	case clusterpb.Activation_STATUS_FAILED:
		return nil, fmt.Errorf("%w: %s", ErrFailed, a.Reason)
	default:
		return nil, errNotOwner
	}
}

// receive is the placement actor: it answers other nodes.
func (l *lookup) receive(ctx actor.Context) {
	m, ok := ctx.Message().(*clusterpb.Activate)
	if !ok {
		return
	}
	kind, known := l.kinds[m.Kind]
	if !known {
		ctx.Respond(&clusterpb.Activation{Status: clusterpb.Activation_STATUS_NOT_OWNER})
		return
	}
	pid, err := l.activate(kind, strings.Clone(m.Identity), hash(m.Identity))
	switch {
	case err == nil:
		ctx.Respond(&clusterpb.Activation{Status: clusterpb.Activation_STATUS_ACTIVE, Id: pid.Id})
	case errors.Is(err, ErrFailed):
		ctx.Respond(&clusterpb.Activation{Status: clusterpb.Activation_STATUS_FAILED, Reason: err.Error()})
	default:
		ctx.Respond(&clusterpb.Activation{Status: clusterpb.Activation_STATUS_NOT_OWNER})
	}
}

// follow takes a new membership over and stops the grains that are another node's now; from the moment in which the view is
// stored these execute nothing any more, however long it takes to stop them all. Topology events come one at a time.
func (l *lookup) follow(members pcluster.Members) {
	next := make([]Member, 0, len(members))
	for _, m := range members {
		next = append(next, Member{ID: m.Id, Addr: m.Address(), Kinds: slices.Clone(m.Kinds), Self: m.Id == l.system.ID})
	}
	before, v := l.view.Load(), newView(next)
	v.number = before.number + 1
	v.moved = before.moved
	if len(next) > 1 || slices.ContainsFunc(before.members, func(m Member) bool { return !m.Self }) {
		v.moved = time.Now() // before anybody can ask this view where a grain is
	}
	l.view.Store(v)
	moved := l.evict(v)
	l.metrics.topologies.Inc()
	l.logger.Info("cluster changed", slog.Int("members", len(next)), slog.Int("grains_moved", moved))
}

// Identity returns the kind and identity of a grain's process.
func Identity(pid *actor.PID) (kind, identity string) {
	kind, identity, _ = strings.Cut(pid.Id, "/")
	return kind, identity
}

func placementName(i int) string { return fmt.Sprintf("placement-%d", i) }
