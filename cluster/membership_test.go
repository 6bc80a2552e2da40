package cluster

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/latchkey/latchkey/cluster/embedded"
)

// etcdServer is an etcd that several members share, and that can go away and come back at its address.
type etcdServer struct {
	t      testing.TB
	dir    string
	addr   string
	server *embedded.Server
}

func startEtcdServer(t testing.TB) *etcdServer {
	t.Helper()
	e := &etcdServer{t: t, dir: t.TempDir(), addr: "127.0.0.1:0"}
	e.start()
	e.addr = e.server.Endpoint()
	t.Cleanup(e.stop)
	return e
}

func (e *etcdServer) start() {
	ctx, cancel := context.WithTimeout(context.Background(), embedded.StartTimeout)
	defer cancel()
	server, err := embedded.Start(ctx, embedded.Options{Dir: e.dir, ClientAddr: e.addr, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(e.t, err)
	e.server = server
}

func (e *etcdServer) stop() {
	if e.server != nil {
		e.server.Close()
		e.server = nil
	}
}

func (e *etcdServer) client() *clientv3.Client {
	client, err := dialEtcd(Options{EtcdEndpoints: []string{e.addr}, Logger: slog.New(slog.DiscardHandler)}, nil, &etcdTrouble{})
	require.NoError(e.t, err)
	e.t.Cleanup(func() { _ = client.Close() })
	return client
}

// peer is a member without a node: its membership and what that has published.
type peer struct {
	*membership
	t testing.TB

	mu       sync.Mutex
	versions [][]string // distinct lists of IDs, in order
}

func newPeer(t testing.TB, e *etcdServer, id string, o Options) *peer {
	t.Helper()
	return newPeerAt(t, e.client(), id, o)
}

func newPeerAt(t testing.TB, client *clientv3.Client, id string, o Options) *peer {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	o.EtcdEndpoints = []string{"shared"}
	o = o.withDefaults()
	p := &peer{t: t, membership: newMembership(o, newMetrics(prometheus.NewRegistry()))}
	p.client, p.publish = client, p.record
	p.self.ID, p.self.Addr = id, "127.0.0.1:1"+id[1:] // m1 is at port 11
	return p
}

func (p *peer) join() *peer {
	p.t.Helper()
	require.NoError(p.t, p.start(p.t.Context()))
	p.t.Cleanup(func() { p.stop(); p.done.Wait() })
	return p
}

func (p *peer) record(members []Member) {
	ids := make([]string, 0, len(members))
	for _, m := range members {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.versions); n == 0 || !slices.Equal(p.versions[n-1], ids) {
		p.versions = append(p.versions, ids)
	}
}

func (p *peer) sees() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.versions) == 0 {
		return "nothing"
	}
	return strings.Join(p.versions[len(p.versions)-1], " ")
}

func (p *peer) changes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.versions)
}

func (p *peer) awaits(want string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return p.sees() == want }, 10*time.Second, 2*time.Millisecond,
		"want %q, last seen %q", want, p.sees())
}

// die stops renewing the lease and watching, as a process does that is killed.
func (p *peer) die() { p.stop(); p.done.Wait() }

func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{}).join()
	require.Equal(t, "m1", m1.sees(), "a member is in its view when start returns")
	m2 := newPeer(t, e, "m2", Options{}).join()
	require.Equal(t, "m1 m2", m2.sees())
	m1.awaits("m1 m2")
	begin := time.Now()
	require.NoError(t, m2.Shutdown(true))
	m1.awaits("m1")
	require.Less(t, time.Since(begin), 500*time.Millisecond, "nobody waits for the lease of a member that leaves")
	require.Equal(t, "m1", m2.sees(), "a member that leaves is not in its own view")
	requireOpen(t, m2.lost, "leaving is not being lost")
}

func TestKilledMemberIsGoneAfterItsLease(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{}).join()
	m2 := newPeer(t, e, "m2", Options{LeaseTTL: time.Second}).join()
	m1.awaits("m1 m2")
	m2.die()
	begin := time.Now()
	m1.awaits("m1")
	require.Less(t, time.Since(begin), 4*time.Second)
	require.Equal(t, 3, m1.changes())
}

func TestFormerLifeIsRemovedByItsSuccessor(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{LeaseTTL: time.Minute}).join()
	m2 := newPeer(t, e, "m2", Options{LeaseTTL: time.Minute}).join()
	m2.die()
	again := newPeer(t, e, "m3", Options{LeaseTTL: time.Minute})
	again.self.Addr = m2.self.Addr
	again.join()
	require.Equal(t, "m1 m3", again.sees())
	m1.awaits("m1 m3")
}

// Whoever is at a node's address and is not what the node has been may be alive: it stays, and the node does not join.
func TestAddressOfAnotherIsNotTaken(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{Home: "a", LeaseTTL: time.Minute}).join()
	there := func(id, home string) *peer {
		p := newPeer(t, e, id, Options{Home: home, LeaseTTL: time.Minute})
		p.self.Addr = m1.self.Addr
		return p
	}
	for _, home := range []string{"b", ""} {
		err := there("m2", home).start(t.Context())
		require.ErrorIs(t, err, ErrAddress)
		require.ErrorContains(t, err, "another server, m1, has registered at "+m1.self.Addr)
	}
	require.Equal(t, "m1", m1.sees())
	require.Equal(t, 1, m1.changes())
	requireOpen(t, m1.lost, "it was there first")
	m1.die()
	require.Equal(t, "m3", there("m3", "a").join().sees(), "its former life is gone at once")
}

// Of several that are given one address and start at the same time one joins.
func TestOnlyOneHasAnAddress(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	var joined atomic.Int32
	var racers sync.WaitGroup
	for i := range 8 {
		p := newPeer(t, e, fmt.Sprintf("m%d", i), Options{Home: fmt.Sprint(i)})
		p.self.Addr = "127.0.0.1:7070"
		racers.Go(func() {
			err := p.start(t.Context())
			if err == nil {
				joined.Add(1)
				t.Cleanup(p.die)
			} else {
				assert.ErrorIs(t, err, ErrAddress)
			}
		})
	}
	racers.Wait()
	require.EqualValues(t, 1, joined.Load())
}

func TestLostLeaseIsReported(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{}).join()
	m2 := newPeer(t, e, "m2", Options{}).join()
	m1.awaits("m1 m2")
	_, err := e.client().Revoke(t.Context(), m2.lease)
	require.NoError(t, err)
	requireClosed(t, m2.lost)
	m2.awaits("m1")
	m1.awaits("m1")
	requireOpen(t, m1.lost, "the other is still a member")
	require.NoError(t, m2.Shutdown(true), "what is lost can still leave")
}

func TestDeletedMemberIsReported(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{}).join()
	_, err := e.client().Delete(t.Context(), m1.prefix+"m1")
	require.NoError(t, err)
	requireClosed(t, m1.lost)
}

func TestLeaseLostWhileTheWatchIsSilentIsReported(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{WatchDelay: time.Hour}).join()
	_, err := e.client().Revoke(t.Context(), m1.lease)
	require.NoError(t, err)
	requireClosed(t, m1.lost)
}

// TestEtcdRestart stops etcd for longer than a lease: nobody is lost, and the view does not change once.
func TestEtcdRestart(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{}).join()
	m2 := newPeer(t, e, "m2", Options{}).join()
	m1.awaits("m1 m2")
	e.stop()
	require.Eventually(t, func() bool { return m1.silence() > DefaultLeaseTTL+time.Second }, 20*time.Second, 10*time.Millisecond)
	require.Equal(t, "m1 m2", m1.sees(), "the view is static while etcd is away")
	e.start()
	require.Eventually(t, func() bool {
		return m1.silence() < DefaultLeaseTTL && m2.silence() < DefaultLeaseTTL
	}, 15*time.Second, 10*time.Millisecond)
	m3 := newPeer(t, e, "m3", Options{}).join()
	m1.awaits("m1 m2 m3")
	m2.awaits("m1 m2 m3")
	require.Equal(t, "m1 m2 m3", m3.sees())
	require.Equal(t, 3, m1.changes())
	require.Equal(t, 2, m2.changes())
	requireOpen(t, m1.lost, "etcd still knows the lease")
	requireOpen(t, m2.lost, "etcd still knows the lease")
}

// TestCompactedWatch lets etcd forget what happened since a member's last revision: it has to read the list again.
func TestCompactedWatch(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	revision, err := m1.register(ctx)
	require.NoError(t, err)
	client := e.client()
	for range 10 {
		_, err = client.Put(ctx, m1.prefix+"../noise", "x")
		require.NoError(t, err)
	}
	newPeer(t, e, "m2", Options{}).join()
	now, err := client.Get(ctx, "x")
	require.NoError(t, err)
	_, err = client.Compact(ctx, now.Header.Revision)
	require.NoError(t, err)
	require.Equal(t, "m1", m1.sees())
	m1.done.Go(func() { m1.follow(ctx, revision) })
	m1.awaits("m1 m2")
	cancel()
	m1.done.Wait()
}

// TestGraceAfterAnOutage cuts one member off from etcd while another's lease runs out: when it is back it keeps the other for
// one more TTL, and does not when it was never cut off.
func TestGraceAfterAnOutage(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	link := newLink(t, e.addr)
	client, err := dialEtcd(Options{EtcdEndpoints: []string{link.addr()}, Logger: slog.New(slog.DiscardHandler)}, nil, &etcdTrouble{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	m1 := newPeerAt(t, client, "m1", Options{})
	m1.patience = time.Second // its own lease outlives the outage
	m1.join()
	m2 := newPeer(t, e, "m2", Options{LeaseTTL: time.Second}).join()
	m3 := newPeer(t, e, "m3", Options{}).join()
	m1.awaits("m1 m2 m3")
	link.cut()
	m2.die()
	m3.awaits("m1 m3")
	require.Eventually(t, func() bool { return m1.silence() > m1.patience }, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, "m1 m2 m3", m1.sees())
	before := m1.lastContact()
	link.heal()
	require.Eventually(t, func() bool { return m1.lastContact() != before }, 10*time.Second, time.Millisecond)
	back := m1.lastContact()
	require.Equal(t, "m1 m2 m3", m1.sees())
	m1.awaits("m1 m3")
	require.GreaterOrEqual(t, m1.now()-back, m1.patience-50*time.Millisecond)
	requireOpen(t, m1.lost, "its lease has held")
}

// TestOneOfTheEtcdServersIsFrozen keeps the leases of members whose client talks to two servers, one of which does not answer
// any more, without closing its connections.
func TestOneOfTheEtcdServersIsFrozen(t *testing.T) {
	t.Parallel()
	const ttl, members = 2 * time.Second, 6
	e := startEtcdServer(t)
	frozen := newLink(t, e.addr)
	var all []*peer
	for i := range members { // each renews its lease through the one or the other
		client, err := dialEtcd(Options{EtcdEndpoints: []string{frozen.addr(), e.addr}, Logger: slog.New(slog.DiscardHandler)}, nil, &etcdTrouble{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = client.Close() })
		all = append(all, newPeerAt(t, client, fmt.Sprintf("m%d", i), Options{LeaseTTL: ttl}).join())
	}
	frozen.freeze()
	t.Cleanup(frozen.thaw)
	for since := time.Now(); time.Since(since) < 4*ttl; {
		for _, m := range all {
			select {
			case <-m.lost:
				require.Fail(t, "a member is lost", "%s after %v", m.self.ID, time.Since(since))
			case <-time.After(ttl / 100):
			}
		}
	}
}

func TestWatchDelay(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	slow := newPeer(t, e, "m1", Options{WatchDelay: 2 * time.Second}).join()
	fast := newPeer(t, e, "m2", Options{}).join()
	newPeer(t, e, "m3", Options{}).join()
	fast.awaits("m1 m2 m3")
	require.Equal(t, "m1", slow.sees())
	slow.awaits("m1 m2 m3")
}

func TestStartFailsWithoutEtcd(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{})
	e.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, m1.start(ctx), context.DeadlineExceeded)
}

func TestWordsInEtcdThatAreNoMembersAreLeftOut(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{}).join()
	for _, value := range []string{"", "{", `{"id":""}`, `{"id":"x","addr":"nowhere"}`, `{"id":"x","addr":"h:99999"}`} {
		_, err := e.client().Put(t.Context(), m1.prefix+"x", value)
		require.NoError(t, err)
	}
	m2 := newPeer(t, e, "m2", Options{}).join()
	m1.awaits("m1 m2")
	require.Equal(t, "m1 m2", m2.sees())
}

func requireClosed(t testing.TB, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(5 * time.Second):
		t.Fatal("not closed in time")
	}
}

func requireOpen(t testing.TB, c <-chan struct{}, why string) {
	t.Helper()
	select {
	case <-c:
		t.Fatal(why)
	default:
	}
}

// link is a TCP proxy that can be cut and healed.
type link struct {
	target   string
	listener net.Listener
	mu       sync.Mutex
	down     bool
	conns    map[net.Conn]bool
	gate     sync.RWMutex // locked while nothing gets through, and no connection ends
	done     sync.WaitGroup
}

func newLink(t testing.TB, target string) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &link{target: target, listener: listener, conns: map[net.Conn]bool{}}
	l.done.Go(l.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
		l.done.Wait()
	})
	return l
}

func (l *link) addr() string { return l.listener.Addr().String() }

func (l *link) accept() {
	for {
		in, err := l.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", l.target)
		if err != nil || !l.keep(in, out) {
			_ = in.Close()
			if out != nil {
				_ = out.Close()
			}
			continue
		}
		l.done.Go(func() { l.pipe(in, out) })
		l.done.Go(func() { l.pipe(out, in) })
	}
}

func (l *link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		l.conns[c] = true
	}
	return !l.down
}

// Read passes on what comes through the link, when it is not frozen.
func (g gated) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	g.gate.RLock()
	defer g.gate.RUnlock()
	return n, err
}

type gated struct {
	net.Conn
	gate *sync.RWMutex
}

func (l *link) freeze() { l.gate.Lock() }
func (l *link) thaw()   { l.gate.Unlock() }

func (l *link) pipe(from, to net.Conn) {
	_, _ = io.Copy(to, gated{from, &l.gate})
	_, _ = from.Close(), to.Close()
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = true
	for c := range l.conns {
		_ = c.Close()
	}
	clear(l.conns)
}

func (l *link) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = false
}
