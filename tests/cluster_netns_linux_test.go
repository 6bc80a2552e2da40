package tests

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

// Bar: the same as TestClusterCutOff's, where each node, etcd and PostgreSQL are machines of their own: packets are lost, and nobody is
// told. A proxy keeps both ends of a connection alive; here they find out by themselves, and only after a while. A node can
// also be cut off from one of the others only.
func TestClusterCutOffByLostPackets(t *testing.T) {
	t.Parallel()
	n, may := newNetwork(t)
	if !may {
		t.Log("making networks takes root; without it TestClusterCutOff shows the same by proxies")
		return
	}
	c, links := n.newCluster(t)
	c.cutOff(t, links)
}

// newCluster starts a cluster of which each part is a machine, and gives what a node can be cut off from.
func (n *network) newCluster(t *testing.T) (c *cluster, links []link) {
	t.Helper()
	var err error
	var store *pgtest.Server
	storeAt, etcdAt := n.newHost(t), n.newHost(t)
	require.NoError(t, storeAt.inside(func() { store, err = pgtest.Start(t.Context(), "", "listen_addresses="+storeAt.addr) }))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(store.Addr())
	require.NoError(t, err)
	etcd := &etcd{dir: t.TempDir(), addr: etcdAt.addr + ":2379"}
	require.NoError(t, etcdAt.inside(func() { etcd.start(t) }))

	c = clusterOn(t, etcd, store)
	machines := make(map[*node]*host)
	for _, name := range []string{"node 1", "node 2", "node 3"} {
		h := n.newHost(t)
		node := &node{name: name, peers: h.addr + ":8082"}
		node.server = c.beside(t, "--etcd-endpoints", "http://"+c.etcd.addr, "--journal-url", store.TCP(storeAt.addr+":"+port, database),
			"--cluster-addr", node.peers, "--cluster-insecure", "--http-addr", h.addr+":8080", "--insecure", "--ops-addr", h.addr+":8081")
		node.url, node.inside = "http://"+h.addr+":8080", h.inside
		machines[node] = h
		c.nodes = append(c.nodes, node)
	}
	c.front.use(c.nodes)
	for _, node := range c.nodes {
		node.start(t)
	}
	c.awaitMembers(t, clusterNodes)

	to := func(far ...*host) func(*node) path {
		return func(node *node) path { return &cable{t, machines[node], far} }
	}
	others := func(count int) func(*node) path {
		return func(node *node) path {
			var far []*host
			for _, other := range c.nodes {
				if other != node && len(far) < count {
					far = append(far, machines[other])
				}
			}
			return &cable{t, machines[node], far}
		}
	}
	return c, []link{{"etcd", to(etcdAt)}, {"PostgreSQL", to(storeAt)}, {"one other node", others(1)}, {"the other nodes", others(2)}}
}
