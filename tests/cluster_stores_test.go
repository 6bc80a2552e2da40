package tests

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
)

const (
	placedShare      = 0.999           // of the opens while there is no etcd
	writesWithin     = 5 * time.Second // after PostgreSQL is back
	etcdSettles      = 2 * leaseTTL
	postgresAwayMost = 3 * time.Second
)

// Bar: etcd is killed and stays away for much longer than a lease: all locks open as ever, and when it is back the membership
// changes once at most. PostgreSQL crashes, or is stopped, and is started again: soon all open, and nothing is lost.
func TestClusterLosesItsStores(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	probes, stop := c.probes(t)
	l := c.use(t)
	for range dose.Of(1, 20) {
		l.mustFlow(t)
		mustOpenAgain(t, probes, time.Now())
		away := dose.Lasting(10*time.Second, time.Minute)
		before := c.topologyChanges(t)
		at := time.Now()
		c.etcd.kill()
		require.True(t, pause(t.Context(), away))
		back := time.Now()
		c.etcd.start(t)
		require.True(t, pause(t.Context(), etcdSettles))
		asked, opened, others := between(probes, at, time.Now().Add(-time.Second)) // but for those that are on their way
		t.Logf("%5.1f s: no etcd for %s: %d of %d opens", at.Sub(l.began).Seconds(), back.Sub(at).Round(time.Millisecond), opened, asked)
		require.GreaterOrEqual(t, float64(opened), placedShare*float64(asked), "%v", others)
		changes := c.topologyChanges(t)
		t.Logf("changes of the membership that the nodes have seen: %v before, %v now", before, changes)
		for i, n := range changes {
			require.LessOrEqual(t, n, before[i]+1, c.nodes[i].name)
		}
		c.awaitMembers(t, clusterNodes)
	}
	for i := range dose.Of(2, 50) {
		l.mustFlow(t)
		mustOpenAgain(t, probes, time.Now())
		end, how := c.store.Kill, "crashes"
		if i%2 == 1 {
			end, how = c.store.Stop, "is stopped"
		}
		at := time.Now()
		require.NoError(t, end())
		require.True(t, pause(t.Context(), time.Duration(l.random.Int64N(int64(postgresAwayMost)))))
		require.NoError(t, c.store.Up(t.Context()))
		up := time.Now()
		resumed := mustOpenAgain(t, probes, up).Sub(up)
		t.Logf("%5.1f s: PostgreSQL %s and is back after %s; all open %s later",
			at.Sub(l.began).Seconds(), how, up.Sub(at).Round(time.Millisecond), resumed.Round(time.Millisecond))
		require.LessOrEqual(t, resumed, writesWithin+probeSlack)
		for _, n := range c.nodes {
			unknown, ok := n.metric(t.Context(), `latchkey_journal_unknown_commits_total{outcome="unknown"}`)
			require.True(t, !ok || unknown == 0, "%s does not know what became of %v commits", n.name, unknown)
		}
	}
	stop()
	l.end(t)
}

// topologyChanges is how often each node has taken over another membership.
func (c *cluster) topologyChanges(t *testing.T) (all []float64) {
	t.Helper()
	for _, n := range c.nodes {
		var changes float64
		require.Eventually(t, func() (ok bool) {
			changes, ok = n.metric(t.Context(), "latchkey_cluster_topology_changes_total")
			return ok
		}, patience, pollEvery, n.name)
		all = append(all, changes)
	}
	return all
}
