package tests

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
)

// Bar: nodes are killed with signal 9, and frozen for longer than a lease, so that they wake up as zombies whose locks are
// others' now. Locks that have nothing to do with them open as ever, those of a killed node when its lease has ended, and
// all invariants hold.
func TestClusterLosesNodes(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	probes, stop := c.probes(t)
	l := c.use(t)
	for range dose.Of(3, 100) {
		n, apart := l.victim(t, probes)
		at := time.Now()
		n.kill()
		alive := slices.DeleteFunc(slices.Clone(probes), func(p *probe) bool { return p.at == n })
		taken := mustOpenAgain(t, alive, at.Add(leaseTTL/2)).Sub(at)
		asked, opened, others := between(apart, at, at.Add(taken))
		noise := slowest(apart, at, at.Add(taken)) + probeSlack
		n.start(t)
		started := time.Now()
		back := mustOpenAgain(t, probes, started).Sub(started)
		t.Logf("%5.1f s: %s is killed: %d of %d opens of %d other locks; the rest are taken over within %s, and all open %s after it was started again",
			at.Sub(l.began).Seconds(), n.name, opened, asked, len(apart), taken.Round(time.Millisecond), back.Round(time.Millisecond))
		require.GreaterOrEqual(t, float64(opened), untouchedShare*float64(asked), "%v", others)
		require.LessOrEqual(t, taken, takeoverWithin+noise)
		require.LessOrEqual(t, back, healedWithin+noise)
	}
	for i := range dose.Of(2, 50) {
		asleep := leaseTTL + time.Duration(1+i%2)*time.Second
		if i >= 2 {
			asleep = 2*time.Second + time.Duration(l.random.Int64N(int64(28*time.Second)))
		}
		n, apart := l.victim(t, probes)
		at := time.Now()
		n.signal(t, syscall.SIGSTOP)
		require.True(t, pause(t.Context(), asleep))
		asked, opened, others := between(apart, at, time.Now())
		n.signal(t, syscall.SIGCONT)
		awake := time.Now()
		back := mustOpenAgain(t, probes, awake).Sub(awake)
		t.Logf("%5.1f s: %s is frozen for %s: %d of %d opens of %d other locks; all open %s after",
			at.Sub(l.began).Seconds(), n.name, asleep.Round(time.Second), opened, asked, len(apart), back.Round(time.Millisecond))
		require.GreaterOrEqual(t, float64(opened), untouchedShare*float64(asked), "%v", others)
		require.LessOrEqual(t, back, healedWithin+slowest(apart, at, time.Now()))
	}
	stop()
	l.end(t)
}

// victim waits until all is well under load, and chooses a node, with the probes that have nothing to do with it.
func (l *load) victim(t *testing.T, probes []*probe) (n *node, apart []*probe) {
	t.Helper()
	l.mustFlow(t)
	l.cluster.awaitMembers(t, len(l.cluster.nodes))
	mustOpenAgain(t, probes, time.Now())
	n = l.cluster.nodes[l.random.IntN(len(l.cluster.nodes))]
	return n, l.apartFrom(t, probes, n)
}
