package tests

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// placed is a lock with the node that its grain runs on.
type placed struct {
	sim.Credential
	home *node
}

// provisionAt creates a lock whose grain runs on a node.
func (c *cluster) provisionAt(t *testing.T, home *node) placed {
	t.Helper()
	const most = 100 // locks of other nodes that come first; with three nodes one of three is wanted
	for range most {
		before := c.activations(t)
		c.lastLock++
		locks, err := sim.Provision(t.Context(), sim.ProvisionOptions{
			Server: home.url, SuperKey: c.superKey, Count: 1, FirstID: c.lastLock, Client: c.web,
		})
		require.NoError(t, err)
		after := c.activations(t)
		for i, n := range c.nodes {
			if n == home && after[i] > before[i] {
				return placed{Credential: locks[0].Credential, home: home}
			}
		}
	}
	require.Fail(t, "no lock is placed on "+home.name)
	return placed{}
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
	l := c.provisionAt(t, home)
	d := c.device(t, l.Credential, connectsTo(session))
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
	l := c.provisionAt(t, c.nodes[2])
	key := c.newKey(t, l.LockID, 0)
	var old *sim.Device
	var oldStats *sim.Stats
	for i := range 2 * clusterNodes {
		stats := new(sim.Stats)
		d := c.device(t, l.Credential, connectsTo(c.nodes[i%clusterNodes]), func(o *sim.DeviceOptions) { o.Stats, o.Recorder = stats, sim.NewRecorder(nil) })
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
