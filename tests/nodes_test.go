package tests

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// lockOf creates some locks and gives one whose grain runs on a node.
func (c *cluster) lockOf(t *testing.T, home *node) sim.Credential {
	t.Helper()
	const locks = 24 // of which some are any node's, as good as certainly
	creds := c.provision(t, locks)
	ids := make([]lock.ID, locks)
	for i := range creds {
		ids[i] = lock.ID(creds[i].LockID)
	}
	homes := c.homes(t, ids)
	for _, cred := range creds {
		if homes[lock.ID(cred.LockID)] == home {
			return cred
		}
	}
	require.Fail(t, "no lock is placed on "+home.name)
	return sim.Credential{}
}

// activations is how many grains run on each node.
func (c *cluster) activations(t *testing.T) (all []float64) {
	t.Helper()
	for _, n := range c.nodes {
		var running float64
		require.Eventually(t, func() (ok bool) {
			running, ok = n.metric(t.Context(), "latchkey_actors_activations")
			return ok
		}, patience, pollEvery)
		all = append(all, running)
	}
	return all
}

// connectsTo lets a device connect to one node.
func connectsTo(n *node) func(*sim.DeviceOptions) {
	return func(o *sim.DeviceOptions) { o.Servers = []string{n.url} }
}

// Bar: the device is connected to one node, its lock's grain runs on another, and a third one is called.
func TestOpenAcrossThreeNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	session, caller, home := c.nodes[0], c.nodes[1], c.nodes[2]
	l := c.lockOf(t, home)
	d := c.device(t, l, connectsTo(session))
	connect(t, d)
	const opens = 20
	key := caller.newKey(t, l.LockID, opens)
	for i := range opens {
		request := fmt.Sprint("r", i)
		caller.mustOpen(t, key, request)
		caller.becomes(t, key, request, lock.Opened)
	}
	require.Len(t, d.Movements(), opens)
	require.EqualValues(t, opens, caller.listed(t, key).UsedCount)
	c.conclude(t)
}

// Bar: the newest socket of a device wins, also when the older one is connected to another node.
func TestNewestSocketWinsAcrossNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := c.lockOf(t, c.nodes[2])
	key := c.newKey(t, l.LockID, 0)
	var old *sim.Device
	var oldStats *sim.Stats
	for i := range 2 * clusterNodes {
		stats := new(sim.Stats)
		d := c.device(t, l, connectsTo(c.nodes[i%clusterNodes]), staysAway, func(o *sim.DeviceOptions) { o.Stats, o.Recorder = stats, sim.NewRecorder(nil) })
		connect(t, d)
		if old != nil {
			require.Eventually(t, func() bool { return oldStats.Counts().Replaced == 1 }, patience, pollEvery, "the older socket is closed with 4409")
		}
		request := fmt.Sprint("r", i)
		c.mustOpen(t, key, request)
		c.becomes(t, key, request, lock.Opened)
		require.Len(t, d.Movements(), 1)
		if old != nil {
			require.Len(t, old.Movements(), 1, "the older one moves no more")
			old.Stop()
		}
		old, oldStats = d, stats
	}
}
