package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
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
	membersFolder = "/latchkey/%s/members/"

	registerTimeout = 10 * time.Second

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
	renewal  time.Duration // of the lease
	patience time.Duration // with members that are absent after etcd was away
	delay    time.Duration // of what the watch says, for tests
	alone    bool          // the etcd is this node's own: whoever else is in it is a former life
	self     Member
	publish  func([]Member) // gets every list of members, one at a time

	lease    clientv3.LeaseID
	contact  atomic.Int64  // when etcd last answered, Unix nanoseconds
	grace    atomic.Int64  // until when a member that is absent is still published, Unix nanoseconds
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
		prefix: fmt.Sprintf(membersFolder, o.ClusterName), ttl: o.LeaseTTL,
		patience: o.LeaseTTL, delay: o.WatchDelay, roster: newRoster(), lost: make(chan struct{}),
	}
	if m.alone {
		m.ttl = max(m.ttl, aloneTTL)
	}
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
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	revision, err := m.register(ctx)
	if err != nil {
		return fmt.Errorf("cluster: register in etcd: %w", err)
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
	if err := m.removeFormerLives(ctx); err != nil {
		return 0, err
	}
	value, err := json.Marshal(m.self)
	if err != nil {
		return 0, err
	}
	if _, err := m.client.Put(ctx, m.prefix+m.self.ID, string(value), clientv3.WithLease(m.lease)); err != nil {
		return 0, fmt.Errorf("put the member: %w", err)
	}
	return m.fetch(ctx)
}

// removeFormerLives deletes the members that this node has been before it was killed, so that nobody waits for their leases:
// no other process can be at the address that this one has.
func (m *membership) removeFormerLives(ctx context.Context) error {
	found, err := m.client.Get(ctx, m.prefix, clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("get the members: %w", err)
	}
	for _, kv := range found.Kvs {
		former, err := decodeMember(kv.Value)
		if err == nil && former.Addr != m.self.Addr && !m.alone {
			continue
		}
		if _, err := m.client.Delete(ctx, string(kv.Key)); err != nil {
			return fmt.Errorf("delete a former life: %w", err)
		}
	}
	return nil
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

func sameMember(a, b Member) bool { return a.ID == b.ID }

// contacted notes that etcd answered. After a silence longer than a lease, the others had no chance to keep theirs either:
// they get one more TTL before they are taken for gone.
func (m *membership) contacted() {
	now := time.Now()
	if before := m.contact.Swap(now.UnixNano()); before != 0 && now.Sub(time.Unix(0, before)) > m.patience {
		m.grace.Store(now.Add(m.patience).UnixNano())
		m.logger.Info("etcd is back", slog.Duration("silence", now.Sub(time.Unix(0, before))))
	}
}

func (m *membership) lastContact() time.Time { return time.Unix(0, m.contact.Load()) }

// graceUntil is the zero time when there is no grace.
func (m *membership) graceUntil() time.Time {
	if until := time.Unix(0, m.grace.Load()); time.Now().Before(until) {
		return until
	}
	return time.Time{}
}

// isLost is called when etcd, which was reached, does not know this node any more.
func (m *membership) isLost(why string) {
	if m.left.Load() {
		return
	}
	m.lostOnce.Do(func() {
		m.metrics.leaseLost.Inc()
		m.logger.Error("this node is no member of the cluster any more", slog.String("why", why))
		close(m.lost)
	})
}

// keepAlive renews the lease until ctx is done or the lease is gone. The client renews through a stream of its own, which an
// etcd that shuts down still serves to its end, and closes the channel when it has heard nothing for a TTL or when the lease
// is gone; which of both, etcd is asked until it answers.
func (m *membership) keepAlive(ctx context.Context) {
	for ctx.Err() == nil {
		renewals, err := m.client.KeepAlive(ctx, m.lease)
		if err == nil {
			for range renewals {
				m.contacted()
			}
		}
		for ctx.Err() == nil {
			held, err := m.holdsLease(ctx)
			if err == nil && held {
				break
			}
			if err == nil {
				m.isLost("its lease is gone")
				return
			}
			m.metrics.unreachable.Inc()
			m.logger.Warn("lease not renewed", slog.Any("error", err))
			wait(ctx, etcdPause)
		}
	}
}

func (m *membership) holdsLease(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	left, err := m.client.TimeToLive(ctx, m.lease)
	if err != nil {
		return false, err
	}
	m.contacted()
	if left.TTL < 0 { // 0 is less than a second
		return false, nil
	}
	_, err = m.client.KeepAliveOnce(ctx, m.lease) // at once, for the TTL may be about to end
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return false, nil
	}
	return err == nil, err
}

func decodeMember(value []byte) (Member, error) {
	var member Member
	if err := json.Unmarshal(value, &member); err != nil {
		return Member{}, err
	}
	if member.ID == "" {
		return Member{}, errors.New("no ID")
	}
	if _, _, err := splitHostPort(member.Addr); err != nil {
		return Member{}, err
	}
	return member, nil
}

// toProto gives protoactor's form of the members.
func toProto(members []Member) pcluster.Members {
	out := make(pcluster.Members, 0, len(members))
	for _, m := range members {
		host, port, err := splitHostPort(m.Addr)
		if err != nil {
			continue // decodeMember has refused it
		}
		out = append(out, &pcluster.Member{Id: m.ID, Host: host, Port: port, Kinds: m.Kinds})
	}
	return out
}

// splitHostPort keeps the brackets of an IPv6 address, since protoactor puts host and port together with a colon.
func splitHostPort(addr string) (host string, port int32, err error) {
	host, digits, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port of %q: %w", addr, err)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host, int32(n), nil
}
