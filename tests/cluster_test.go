package tests

import (
	"bufio"
	"context"
	"crypto/rand"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
	"github.com/latchkey/latchkey/sim"
)

const clusterNodes = 3

// cluster is some nodes that share an etcd and a PostgreSQL. Its server is the whole of it as clients see it: each call goes
// to any node that takes connections. What clients are told and what motors do is kept once, whichever node it was.
type cluster struct {
	*server
	nodes []*node
	front *balancer
	etcd  *etcd
	store *pgtest.Server
}

// node is one of them. Every link on which there can be a fault goes through a proxy of this process, unless the nodes are on a
// network of their own.
type node struct {
	*server
	name            string
	peers           string     // the address for other nodes
	toEtcd, toStore *sim.Proxy // Up is from the node
	fromPeers       *sim.Proxy // Up is to the node; it answers on connections of its own
}

// database is the name of the journal's.
const database = "latchkey"

// newCluster starts a cluster and waits until its nodes see each other.
func newCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	c := newClusterOf(t, clusterNodes, args...)
	for _, n := range c.nodes {
		n.start(t)
	}
	c.awaitMembers(t, clusterNodes)
	return c
}

// newClusterOf prepares nodes that are not running yet.
func newClusterOf(t *testing.T, size int, args ...string) *cluster {
	t.Helper()
	store, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	c := clusterOn(t, startEtcd(t), store)
	for i := range size {
		n := c.newNode(t, "node "+strconv.Itoa(i+1), args...)
		c.nodes = append(c.nodes, n)
	}
	c.front.use(c.nodes)
	return c
}

// clusterOn prepares a cluster without nodes.
func clusterOn(t *testing.T, etcd *etcd, store *pgtest.Server) *cluster {
	t.Helper()
	t.Cleanup(func() { require.NoError(t, store.Remove()) })
	require.NoError(t, store.CreateDatabase(t.Context(), database))
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	front := &balancer{next: transport}
	return &cluster{front: front, etcd: etcd, store: store, server: &server{
		superKey: rand.Text() + rand.Text(), url: "http://" + balancedHost,
		ledger: newLedger(), motors: sim.NewRecorder(nil), web: newClient(front),
	}}
}

func (c *cluster) newNode(t *testing.T, name string, args ...string) *node {
	t.Helper()
	addr := quietAddr(t)
	n := &node{name: name, toEtcd: newLink(t, c.etcd.addr), toStore: newLink(t, c.store.Addr()), fromPeers: newLink(t, addr)}
	n.peers = n.fromPeers.Addr()
	n.server = c.beside(t, append([]string{
		"--etcd-endpoints", "http://" + n.toEtcd.Addr(), "--journal-url", c.store.TCP(n.toStore.Addr(), database),
		"--cluster-addr", addr, "--cluster-advertise-addr", n.peers,
	}, args...)...)
	return n
}

func newLink(t *testing.T, target string) *sim.Proxy {
	t.Helper()
	p, err := sim.NewProxy(target)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// urls are the nodes' own.
func (c *cluster) urls() (all []string) {
	for _, n := range c.nodes {
		all = append(all, n.url)
	}
	return all
}

// anyNode lets a device connect to any node, beginning with the one of its number.
func (c *cluster) anyNode(first int) func(*sim.DeviceOptions) {
	return func(o *sim.DeviceOptions) {
		all := c.urls()
		first %= len(all)
		o.Servers = append(append([]string(nil), all[first:]...), all[:first]...)
	}
}

// metric reads one of a node's metrics by the start of its line; false when the node does not answer, or has no such metric.
func (n *node) metric(ctx context.Context, name string) (float64, bool) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.ops+"/metrics", nil)
	if err != nil {
		return 0, false
	}
	response, err := n.web.Do(request)
	if err != nil {
		return 0, false
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			v, err := strconv.ParseFloat(value, 64)
			return v, err == nil
		}
	}
	return 0, false
}

// awaitMembers waits until every one of these nodes (without any: of all) sees so many.
func (c *cluster) awaitMembers(t *testing.T, count int, nodes ...*node) {
	t.Helper()
	if len(nodes) == 0 {
		nodes = c.nodes
	}
	for _, n := range nodes {
		require.Eventually(t, func() bool {
			seen, ok := n.metric(t.Context(), "latchkey_cluster_members")
			return ok && seen == float64(count)
		}, patience, pollEvery, "%s sees %d members", n.name, count)
	}
}

// conclude stops all nodes in good order, checks the invariants, and returns the whole journal.
func (c *cluster) conclude(t *testing.T) []journal.Record {
	t.Helper()
	for _, n := range c.nodes {
		n.signal(t, syscall.SIGTERM)
	}
	for _, n := range c.nodes {
		require.Equal(t, 0, n.exit(t), n.stderr())
	}
	records := c.records(t)
	requireInvariants(t, c.evidence(records))
	return records
}

// records reads the journal.
func (c *cluster) records(t *testing.T) []journal.Record {
	t.Helper()
	j, err := postgres.Open(t.Context(), postgres.Options{URL: c.store.URL(database)})
	require.NoError(t, err)
	defer j.Close()
	records, err := readAll(t.Context(), j)
	require.NoError(t, err)
	return records
}
