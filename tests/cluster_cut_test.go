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
	of   func(*node) *sim.Proxy
}

var links = []link{
	{"etcd", func(n *node) *sim.Proxy { return n.toEtcd }},
	{"PostgreSQL", func(n *node) *sim.Proxy { return n.toStore }},
	{"the other nodes", func(n *node) *sim.Proxy { return n.fromPeers }},
}

var ways = map[sim.Direction]string{sim.Up: "one way", sim.Down: "the other way", sim.Both: "both ways"}

// Bar: a node is cut off from etcd, from PostgreSQL and from the other nodes, one way or both, for longer than a lease. Locks that
// have nothing to do with it open as ever, all do soon after it is healed, and all invariants hold.
func TestClusterCutOff(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	probes, stop := c.probes(t)
	l := c.use(t)
	for i := range dose.Of(len(links), 50) {
		l.mustFlow(t)
		mustOpenAgain(t, probes, time.Now())
		from, n := links[i%len(links)], c.nodes[l.random.IntN(len(c.nodes))]
		way, lasts := sim.Direction(1+l.random.IntN(int(sim.Both))), 10*time.Second
		if i >= len(links) {
			lasts = 5*time.Second + time.Duration(l.random.Int64N(int64(55*time.Second)))
		}
		name := fmt.Sprintf("%s is cut off from %s, %s, for %s", n.name, from.name, ways[way], lasts.Round(time.Second))
		untouched := l.apartFrom(t, probes, n)
		at := time.Now()
		from.of(n).Freeze(way)
		require.True(t, pause(t.Context(), lasts))
		healed := time.Now()
		from.of(n).Thaw(way)
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
