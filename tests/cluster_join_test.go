package tests

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/sim"
)

// Bar: a third node joins under load, and one of the others learns of it 0, 20 or 300 ms later. No request fails, and no lock
// stays on two nodes.
func TestClusterGrows(t *testing.T) {
	t.Parallel()
	c := newClusterOf(t, clusterNodes)
	third := c.nodes[clusterNodes-1]
	c.nodes = c.nodes[:clusterNodes-1]
	c.front.use(c.nodes)
	for _, n := range c.nodes {
		n.start(t)
	}
	c.awaitMembers(t, len(c.nodes))
	probes, stop := c.probes(t)
	l := c.use(t)
	skews := []time.Duration{300 * time.Millisecond, 20 * time.Millisecond, 0}
	for i := range dose.Of(2, 50) {
		l.mustFlow(t)
		late, skew := c.nodes[i%len(c.nodes)], skews[i%len(skews)]
		at := time.Now()
		third.toEtcd.Freeze(sim.Up)
		third.begin(t)
		require.Eventually(t, func() bool { return third.toEtcd.Connections() > 0 }, patience, pollEvery, "it does not come to etcd")
		late.toEtcd.Freeze(sim.Down) // for a moment only, or it would lose its lease
		third.toEtcd.Thaw(sim.Up)
		third.awaitServing(t)
		c.front.use(append(c.nodes, third))
		require.True(t, pause(t.Context(), skew))
		late.toEtcd.Thaw(sim.Down)
		c.nodes = append(c.nodes, third)
		c.awaitMembers(t, clusterNodes)
		agreed := time.Now()
		c.awaitOneHome(t)
		t.Logf("%5.1f s: the third node has joined, %s learns of it %s later; no lock is on two nodes %s after they agreed",
			at.Sub(l.began).Seconds(), late.name, skew, time.Since(agreed).Round(time.Millisecond))
		l.mustFlow(t)
		asked, opened, others := between(probes, at, time.Now().Add(-time.Second)) // but for those that are on their way
		require.Equal(t, asked, opened, "%v", others)
		for _, a := range l.s.ledger.all() {
			if a.called.After(at) {
				require.NotContains(t, []int{0, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusInternalServerError}, a.status,
					"%s of lock %d at %s: %s", a.kind, a.lock, a.called.Format(clockFormat), a.reason)
			}
		}
		c.front.use(c.nodes[:clusterNodes-1])
		c.nodes = c.nodes[:clusterNodes-1]
		third.signal(t, syscall.SIGTERM)
		require.Equal(t, 0, third.exit(t), third.stderr())
		c.awaitMembers(t, len(c.nodes))
		mustOpenAgain(t, probes, time.Now())
	}
	stop()
	l.end(t)
}

// awaitOneHome waits until no lock is on two nodes.
func (c *cluster) awaitOneHome(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		running := 0.0
		for _, n := range c.activations(t) {
			running += n
		}
		return running <= loadLocks+probesOfNode*(clusterNodes-1)
	}, patience, 10*time.Millisecond, "a lock stays on two nodes")
}
