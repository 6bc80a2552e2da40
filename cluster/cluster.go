// Package cluster runs grains (virtual actors) on the nodes of a cluster: each identity of a kind has one grain, on the node
// that owns it, and Request finds it from anywhere.
//
// It stands on protoactor's actors, its remote and its Cluster, and brings the two parts that decide whether that is sound:
// who is a member (membership.go: an etcd lease) and where a grain is (lookup.go: rendezvous hashing over the members, with
// the owner refusing what is not its own). While a membership changes, two nodes may hold the same grain for some
// milliseconds. The cluster keeps that short and does not promise more: a grain must write through a store that compares
// versions, answer Retry and stop itself when it has lost the race.
package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/latchkey/latchkey/cluster/embedded"
	"github.com/latchkey/latchkey/internal/keyring"
	"github.com/latchkey/latchkey/internal/workers"
)

// A Node is this process's part in the cluster.
type Node struct {
	options Options
	logger  *slog.Logger
	metrics *metrics

	etcd        *embedded.Server // nil when the etcd is shared
	client      *clientv3.Client
	system      *actor.ActorSystem
	remote      *remote.Remote   // nil when there is nobody to talk to
	outboxes    *outboxes        // nil without a remote
	nodeKeys    *keyring.Keyring // nil when nodes speak plain
	etcdKeys    *keyring.Keyring // nil when no files are given
	trouble     etcdTrouble
	cluster     *pcluster.Cluster
	lookup      *lookup
	membership  *membership
	replies     *replies
	connections connections

	ctx    context.Context // done when the node is closed
	cancel context.CancelFunc

	drain    sync.Once
	draining chan struct{}
	drained  error
}

// Start brings a node up: its own etcd when there is no other, the actor system, the connections to the other nodes, and its
// membership. When it returns, the node owns its share of the grains. ctx bounds the start only; Drain ends the node. It waits
// for an etcd that does not answer yet.
func Start(ctx context.Context, o Options) (*Node, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	n := &Node{
		options: o, logger: o.Logger, metrics: newMetrics(o.Registerer),
		draining: make(chan struct{}),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	for _, step := range []func(context.Context) error{n.startSystem, n.startRemote, n.startEtcd, n.join} {
		if err := step(ctx); err != nil {
			n.close(context.WithoutCancel(ctx))
			return nil, err
		}
	}
	about := []any{slog.String("id", n.system.ID), slog.Int("members", len(n.Members()))}
	if n.remote != nil { // otherwise nobody can reach it, and it has no address
		about = append(about, slog.String("addr", n.system.Address()))
	}
	n.logger.Info("cluster node started", about...)
	return n, nil
}

func (n *Node) startSystem(context.Context) error {
	n.connections.logger, n.connections.trouble = n.logger, &troubles{all: map[string]*trouble{}}
	logger := slog.New(calm{n.logger.Handler(), n.connections.trouble}).With(slog.String("lib", "protoactor"))
	n.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return logger }),
		actor.WithDeadLetterRequestLogging(false),
		actor.WithDeadLetterThrottleInterval(deadLetterPause),
	)
	n.lookup = &lookup{
		system: n.system, logger: n.logger, metrics: n.metrics,
		kinds: map[string]*activations{},
	}
	n.lookup.view.Store(newView(nil))
	boxes := &mailboxes{
		system: n.system, logger: n.logger, metrics: n.metrics, workers: workers.New((*mailbox).run, n.ctx.Done()),
		limit: n.options.MailboxSize, view: &n.lookup.view, owned: n.lookup.owned, stopped: n.lookup.stopped,
	}
	n.lookup.mailbox = boxes.produce
	for name, props := range n.options.Kinds {
		n.lookup.kinds[name] = newActivations(name, props.Clone(actor.WithMailbox(boxes.produce)))
	}
	return nil
}

// startRemote listens for other nodes. A node that has its etcd to itself will never see one, so it opens no port. The
// remote comes before the client of etcd because it exchanges the logger of gRPC while nobody may use that.
func (n *Node) startRemote(context.Context) error {
	var err error
	if n.nodeKeys, err = openNodeKeys(n.options); err != nil {
		return err
	}
	config, err := remoteConfig(n.options, n.nodeKeys)
	if err != nil {
		return err
	}
	r := remote.NewRemote(n.system, config)
	if !n.options.alone() {
		n.outboxes = newOutboxes(n.system, r, n.metrics)
		if err := listen(r); err != nil {
			return err
		}
		n.remote = r
	}
	n.replies = newReplies(n.system)
	n.lookup.replies = n.replies
	n.membership = newMembership(n.options, n.metrics)
	n.cluster = pcluster.New(n.system, pcluster.Configure(clusterName, n.membership, n.lookup, config))
	n.cluster.Remote = r
	return nil
}

func (n *Node) startEtcd(ctx context.Context) (err error) {
	if n.options.alone() {
		ctx, cancel := context.WithTimeout(ctx, embedded.StartTimeout)
		defer cancel()
		n.etcd, err = embedded.Start(ctx, embedded.Options{Dir: n.options.EtcdDir, Logger: n.logger, Afresh: true})
		if err != nil {
			return err
		}
		n.client = n.etcd.Client()
		return nil
	}
	if n.etcdKeys, err = openEtcdKeys(n.options); err != nil {
		return err
	}
	return n.awaitEtcd(ctx, func(context.Context) (err error) {
		n.client, err = dialEtcd(n.options, n.etcdKeys, &n.trouble)
		return err
	})
}

// join does what protoactor's Cluster.StartMember does, except for what this cluster has no use for: that one also starts
// the gossip, a second opinion on who is alive, and PubSub, and sleeps a second.
func (n *Node) join(ctx context.Context) error {
	n.connections.broken = n.connectionLost
	n.connections.follow(n.system)
	n.cluster.IdentityLookup = n.lookup
	n.lookup.Setup(n.cluster, nil, false)
	n.membership.client = n.client
	n.membership.publish = n.publish
	n.membership.self.ID, n.membership.self.Addr = n.system.ID, n.options.Addr
	if n.remote != nil {
		n.membership.self.Addr = n.system.Address()
	}
	if err := n.awaitEtcd(ctx, n.membership.start); err != nil {
		return err
	}
	if n.remote != nil {
		n.connections.wait = n.options.LeaseTTL + greetSlack
		n.Listen(greeting, func(any) {})
		n.connections.done.Go(n.greet)
	}
	return n.metrics.observe(n)
}

// listen starts the remote, which panics when it cannot.
func listen(r *remote.Remote) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%w: %v", ErrAddress, reason)
		}
	}()
	r.Start()
	return nil
}

// System is the actor system, for those who know actors: to stop one by its PID, or to send to it.
func (n *Node) System() *actor.ActorSystem { return n.system }

// Members are the nodes of the cluster, as this one sees it, by ID.
func (n *Node) Members() []Member { return n.lookup.view.Load().members }

// Moved is when grains were last moved by a change of the members, as far as this node knows; zero when it has always been alone. A
// grain that has moved here was activated after that instant.
func (n *Node) Moved() time.Time { return n.lookup.view.Load().moved }

// Lost is closed when etcd, which can be reached, says that this node is no member any more. The others have taken its grains
// over and will not have it back: drain it and start another, whose ID is new.
func (n *Node) Lost() <-chan struct{} { return n.membership.lost }

// Ready is nil when the node is a member and etcd answers, ErrStatic when etcd does not (the node serves on), and
// ErrNotMember when it owns nothing: lost, or leaving.
func (n *Node) Ready() error {
	select {
	case <-n.draining:
		return fmt.Errorf("%w: draining", ErrNotMember)
	case <-n.membership.lost:
		return fmt.Errorf("%w: lost", ErrNotMember)
	default:
	}
	if silence := n.membership.silence(); silence > n.membership.ttl {
		return fmt.Errorf("%w for %v", ErrStatic, silence.Round(time.Millisecond))
	}
	return nil
}

// Drain leaves the cluster and ends the node: the others take the grains over, each grain here is told that it stops
// (*actor.Stopping) and has until ctx is done, then everything is closed. Requests from this node find the new owners until
// the end. Only the first call does anything; the others return its result.
func (n *Node) Drain(ctx context.Context) error {
	n.drain.Do(func() {
		close(n.draining)
		n.leave(ctx)
		n.drained = n.awaitGrains(ctx)
		n.settle(ctx)
		n.close(ctx)
	})
	return n.drained
}
