package tests

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/internal/lateness"
	"github.com/latchkey/latchkey/sim"
)

// oneHome is how soon nothing is left of a grain on a node that knows that it has moved, when the node gets a processor.
const oneHome = 100 * time.Millisecond

// Locks that nobody opens: of those that move most are such.
const (
	idleLocks = 100
	firstIdle = 2000
)

// Bar: a third node joins under load, and one of the others learns of it 0, 20 or 300 ms later. No request fails, and of a lock that
// has moved nothing is left where it was 100 ms after the node there has learnt of it. (That it acts no more from the first moment
// on is for the tests of package cluster.)
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
	_, err := sim.Provision(t.Context(), sim.ProvisionOptions{Server: c.url, SuperKey: c.superKey, Count: idleLocks, FirstID: firstIdle, Client: c.web})
	require.NoError(t, err)
	skews := []time.Duration{300 * time.Millisecond, 20 * time.Millisecond, 0}
	for i := range dose.Of(3, 50) {
		l.mustFlow(t)
		first, late, skew := c.nodes[i%2], c.nodes[(i+1)%2], skews[i%len(skews)]
		for id := range idleLocks {
			a, err := c.list(t.Context(), int64(firstIdle+id)) // so that its grain runs
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, a.status, a.body)
		}
		before := c.evictions(t)
		var watches []*lateness.Watch
		for _, n := range c.nodes {
			watches = append(watches, lateness.Start(n.cmd.Process.Pid))
		}
		at := time.Now()
		third.toEtcd.Freeze(sim.Up)
		third.begin(t)
		require.Eventually(t, func() bool { return third.toEtcd.Connections() > 0 }, patience, pollEvery, "it does not come to etcd")
		if skew > 0 {
			late.toEtcd.Freeze(sim.Down) // for a moment only, or it would lose its lease
		}
		third.toEtcd.Thaw(sim.Up)
		c.awaitMembers(t, clusterNodes, first)
		require.True(t, pause(t.Context(), skew))
		late.toEtcd.Thaw(sim.Down)
		third.awaitServing(t)
		c.nodes = append(c.nodes, third)
		c.front.use(c.nodes)
		c.awaitMembers(t, clusterNodes)
		var after []eviction
		require.Eventually(t, func() bool {
			after = c.evictions(t)
			return after[0].count > before[0].count && after[1].count > before[1].count
		}, patience, pollEvery, "what has moved stays where it was")
		c.awaitOneHome(t)
		for n, e := range after[:len(before)] {
			took := e.took - before[n].took
			require.NoError(t, watches[n].Stop())
			waited := watches[n].Within(took)
			t.Logf("%5.1f s: the third node has joined, %s learns of it %s later; what has moved from %s was gone after %s (in as much time its threads waited %s for processors at most)",
				at.Sub(l.began).Seconds(), late.name, skew, c.nodes[n].name, took, waited)
			require.EqualValues(t, 1, e.count-before[n].count, "changes that moved locks away")
			require.LessOrEqual(t, took, oneHome+waited)
		}
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

// eviction is what a node tells of the changes that moved locks away from it: how many there were, and how long it took until what
// had moved was gone.
type eviction struct {
	count float64
	took  time.Duration
}

func (c *cluster) evictions(t *testing.T) (all []eviction) {
	t.Helper()
	const name = "latchkey_cluster_eviction_seconds"
	for _, n := range c.nodes {
		var e eviction
		require.Eventually(t, func() bool {
			count, ok := n.metric(t.Context(), name+"_count")
			sum, also := n.metric(t.Context(), name+"_sum")
			e = eviction{count, time.Duration(sum * float64(time.Second))}
			return ok && also
		}, patience, pollEvery)
		all = append(all, e)
	}
	return all
}

// awaitOneHome waits until no lock is on two nodes.
func (c *cluster) awaitOneHome(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		running := 0.0
		for _, n := range c.activations(t) {
			running += n
		}
		return running <= idleLocks+loadLocks+probesOfNode*(clusterNodes-1)
	}, patience, 10*time.Millisecond, "a lock stays on two nodes")
}
