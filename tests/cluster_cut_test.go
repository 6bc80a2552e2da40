package tests

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/sim"
)

// link is what a node can be cut off from.
type link struct {
	name string
	of   func(*node) path
}

// path is the way between a node and what it can be cut off from: a proxy, or a cable.
type path interface {
	Freeze(sim.Direction)
	Thaw(sim.Direction)
}

var proxies = []link{
	{"etcd", func(n *node) path { return n.toEtcd }},
	{"PostgreSQL", func(n *node) path { return n.toStore }},
	{"the other nodes", func(n *node) path { return n.fromPeers }},
}

// fewCuts are those of `make test`, which last for two leases; others last for as long as they like.
const fewCuts = 3

var ways = map[sim.Direction]string{sim.Up: "one way", sim.Down: "the other way", sim.Both: "both ways"}

// Bar: a node is cut off from etcd, from PostgreSQL and from the other nodes, one way or both, for longer than a lease. Locks that
// have nothing to do with it open as ever, all do soon after it is healed, and all invariants hold.
func TestClusterCutOff(t *testing.T) {
	t.Parallel()
	newCluster(t).cutOff(t, proxies)
}

// cutOff cuts nodes off from all that they can be cut off from, under load, and checks what there is to see.
func (c *cluster) cutOff(t *testing.T, links []link) {
	t.Helper()
	probes, stop := c.probes(t)
	l := c.use(t)
	for i := range dose.Of(fewCuts, 50) {
		l.mustFlow(t)
		mustOpenAgain(t, probes, time.Now())
		from, n := links[i%len(links)], c.nodes[l.random.IntN(len(c.nodes))]
		way, lasts := sim.Direction(1+l.random.IntN(int(sim.Both))), 10*time.Second
		if i >= fewCuts {
			lasts = 5*time.Second + time.Duration(l.random.Int64N(int64(55*time.Second)))
		}
		name := fmt.Sprintf("%s is cut off from %s, %s, for %s", n.name, from.name, ways[way], lasts.Round(time.Second))
		untouched := l.apartFrom(t, probes, n)
		at := time.Now()
		path := from.of(n)
		path.Freeze(way)
		require.True(t, pause(t.Context(), lasts))
		healed := time.Now()
		path.Thaw(way)
		back := mustOpenAgain(t, probes, healed).Sub(healed)
		asked, opened, others := between(untouched, at, healed)
		t.Logf("%5.1f s: %s: %d of %d opens of %d other locks; all open %s after",
			at.Sub(l.began).Seconds(), name, opened, asked, len(untouched), back.Round(time.Millisecond))
		require.GreaterOrEqual(t, float64(opened), untouchedShare*float64(asked), "%v", others)
		require.LessOrEqual(t, back, healedWithin+slowest(untouched, at, time.Now()))
	}
	stop()
	l.end(t)
}

// apartFrom gives the probes that have nothing to do with a node: neither the caller, nor the grain, nor the device is there.
func (l *load) apartFrom(t *testing.T, probes []*probe, n *node) (apart []*probe) {
	t.Helper()
	homes := l.cluster.homes(t, ids(probes))
	for _, p := range probes {
		if p.at != n && homes[p.id] != n {
			apart = append(apart, p)
		}
	}
	require.NotEmpty(t, apart)
	return apart
}
