package tests

import (
	"testing"

	"github.com/latchkey/latchkey/internal/dose"
)

// Bar: a node is killed with signal 9 under load, comes back, and all invariants hold.
func TestClusterKilledNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := c.use(t)
	for range dose.Of(3, 100) {
		l.mustFlow(t)
		n := c.nodes[l.random.IntN(len(c.nodes))]
		t.Logf("kill -9 of %s", n.name)
		n.restart(t)
		c.awaitMembers(t, clusterNodes)
	}
	l.end(t)
}
