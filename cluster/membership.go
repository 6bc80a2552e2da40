package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	etcdTimeout   = 5 * time.Second        // for one call to etcd
	etcdPause     = 500 * time.Millisecond // before etcd is called again after an error
	membersFolder = "/latchkey/" + clusterName + "/members/"

	// Nobody waits for the lease of a node that has an etcd to itself, so it may be long: such a node is not lost when its
	// process was suspended for a while.
	aloneTTL = 10 * time.Minute
)

// membership keeps this node in the list of members in etcd and follows that list. It is protoactor's ClusterProvider.
//
// etcd is the only authority on who is a member. While it cannot be reached nothing changes: the last members stay, this one
// included, since what keeps two activations of a grain apart is the journal's compare-and-set and not the lease. Once etcd
// answers again and says that this node is no member any more, the node is lost for good, and a new one takes its place.
type membership struct {
	client   *clientv3.Client
	logger   *slog.Logger
	metrics  *metrics
	prefix   string        // of the members' keys, with a slash at the end: the name of one cluster may begin another's
	ttl      time.Duration // of the lease
	patience time.Duration // with members that are absent after etcd was away
	delay    time.Duration // of what the watch says, for tests
	alone    bool          // the etcd is this node's own: whoever else is in it is a former life
	self     Member
	publish  func([]Member) // gets every list of members, one at a time

	lease    clientv3.LeaseID
	started  time.Time
	contact  atomic.Int64  // when etcd last answered, by now; zero: never
	grace    atomic.Int64  // until when, by now, a member that is absent is still published
	lost     chan struct{} // closed when etcd says that this node is no member
	lostOnce sync.Once
	left     atomic.Bool // this node has left of its own will

	mu        sync.Mutex // held while the roster changes and is published
	roster    *roster
	published []Member

	stop context.CancelFunc
	done sync.WaitGroup
}

var _ pcluster.ClusterProvider = (*membership)(nil)

func newMembership(o Options, metrics *metrics) *membership {
	m := &membership{
		logger: o.Logger, metrics: metrics, alone: o.alone(),
		prefix: membersFolder, ttl: o.LeaseTTL,
		patience: o.LeaseTTL, delay: o.WatchDelay, roster: newRoster(), started: time.Now(), lost: make(chan struct{}),
	}
	if m.alone {
		m.ttl = max(m.ttl, aloneTTL)
		m.patience = m.ttl // it renews seldom, which is no silence of etcd
	}
	m.self.Store, m.self.Home = o.Store, o.Home
	m.self.Kinds = slices.Sorted(maps.Keys(o.Kinds))
	return m
}

// StartMember registers this node and publishes the first members.
func (m *membership) StartMember(*pcluster.Cluster) error { return m.start(context.Background()) }

// StartClient is refused: a node that asks for grains can also run some.
func (m *membership) StartClient(*pcluster.Cluster) error {
	return errors.New("cluster: only members are supported")
}

// Shutdown leaves the cluster, when graceful, and ends the goroutines.
func (m *membership) Shutdown(graceful bool) error {
	var err error
	if graceful {
		ctx, cancel := context.WithTimeout(context.Background(), etcdTimeout)
		defer cancel()
		err = m.leave(ctx)
	}
	m.stop()
	m.done.Wait()
	return err
}

func (m *membership) start(ctx context.Context) error {
	revision, err := m.register(ctx)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	ctx, m.stop = context.WithCancel(context.Background())
	m.done.Go(func() { m.keepAlive(ctx) })
	m.done.Go(func() { m.follow(ctx, revision) })
	return nil
}

// register puts this node into the list and publishes it; it returns the revision of etcd from which to watch.
func (m *membership) register(ctx context.Context) (int64, error) {
	granted, err := m.client.Grant(ctx, int64(m.ttl/time.Second))
	if err != nil {
		return 0, fmt.Errorf("grant a lease: %w", err)
	}
	m.lease = granted.ID
	value, err := json.Marshal(m.self)
	if err != nil {
		return 0, err
	}
	for joined := false; !joined; {
		seen, err := m.meetMembers(ctx)
		if err != nil {
			return 0, err
		}
		// Whoever has joined since then has not been met.
		put, err := m.client.Txn(ctx).
			If(clientv3.Compare(clientv3.ModRevision(m.prefix), "<", seen+1).WithPrefix()).
			Then(clientv3.OpPut(m.prefix+m.self.ID, string(value), clientv3.WithLease(m.lease))).Commit()
		if err != nil {
			return 0, fmt.Errorf("put the member: %w", err)
		}
		joined = put.Succeeded
	}
	return m.fetch(ctx)
}

// meetMembers looks at the members before this node becomes one. It deletes those that this node has been before it was killed,
// so that nobody waits for their leases: they had its address and its home. Whoever has the address alone may be alive, at an address
// that both were given by mistake, so it stays and this node does not join. Neither does it join members whose store is another one:
// each would take the other's grains for ones that were never there. It returns the revision of the list.
func (m *membership) meetMembers(ctx context.Context) (int64, error) {
	found, err := m.client.Get(ctx, m.prefix, clientv3.WithPrefix())
	if err != nil {
		return 0, fmt.Errorf("get the members: %w", err)
	}
	for _, kv := range found.Kvs {
		member, err := decodeMember(kv.Value)
		switch {
		case err != nil || m.alone:
		case member.Addr != m.self.Addr:
			if m.self.Store != "" && member.Store != "" && member.Store != m.self.Store {
				return 0, fmt.Errorf("%w: %s, at %s, has %s, and this one %s", ErrOtherStore, member.ID, member.Addr, member.Store, m.self.Store)
			}
			continue
		case member.Home != m.self.Home:
			return 0, fmt.Errorf("%w: another server, %s, has registered at %s, and each needs its own (if it was this one, with another data folder, "+
				"it is gone within %v)", ErrAddress, member.ID, member.Addr, m.ttl)
		}
		if _, err := m.client.Delete(ctx, string(kv.Key)); err != nil {
			return 0, fmt.Errorf("delete a former life: %w", err)
		}
	}
	return found.Header.Revision, nil
}

// fetch reads and publishes the whole list; it returns the revision of etcd up to which that is complete.
func (m *membership) fetch(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	found, err := m.client.Get(ctx, m.prefix, clientv3.WithPrefix())
	if err != nil {
		return 0, fmt.Errorf("get the members: %w", err)
	}
	m.contacted()
	present := map[string]Member{}
	for _, kv := range found.Kvs {
		member, err := decodeMember(kv.Value)
		if err != nil {
			m.logger.Warn("member in etcd cannot be read", slog.String("key", string(kv.Key)), slog.Any("error", err))
			continue
		}
		present[member.ID] = member
	}
	m.update(func(r *roster) { r.replace(present, m.graceUntil()) })
	return found.Header.Revision, nil
}

// leave takes this node out of the list: in etcd, so that the others take its grains over at once, and here. When etcd cannot
// be reached the lease runs out by itself.
func (m *membership) leave(ctx context.Context) error {
	m.left.Store(true)
	_, err := m.client.Revoke(ctx, m.lease)
	m.update(func(*roster) {})
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return nil // it was lost before
	}
	return err
}

// update changes the roster and publishes it. This node itself gets no grace: when etcd does not list it, the others have
// dropped it.
func (m *membership) update(change func(*roster)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m.roster)
	if m.left.Load() || !m.roster.lists(m.self.ID) {
		m.roster.drop(m.self.ID)
		m.isLost("etcd does not list it")
	}
	if members := m.roster.list(); !slices.EqualFunc(members, m.published, sameMember) {
		m.published = members
		m.publish(members)
	}
}
