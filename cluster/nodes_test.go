package cluster_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/lateness"
)

const (
	keys    = 500
	short   = 2 * time.Second // a lease that a test waits for
	patient = 10 * time.Second

	// gone is how soon after a node knows that a grain is another's nothing of it is left there, when the node gets a processor.
	// It acts no more from the first moment on.
	gone = 100 * time.Millisecond
)

// TestThirdNodeJoinsUnderLoad lets a node join while the views of the others differ: no request fails. From the moment in which a
// node knows that a grain has moved, its activation there begins no request but one that it had just been given, and it is gone
// soon.
func TestThirdNodeJoinsUnderLoad(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{0, 20 * time.Millisecond, 300 * time.Millisecond} {
		t.Run(skew.String(), func(t *testing.T) { // one after the other: they are about time
			etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
			join := func(delay time.Duration) *process {
				return spawn(t, "node", setup{Etcd: etcd.hello.Addr, Delay: delay})
			}
			nodes := []*process{join(skew), join(0)}
			for _, n := range nodes {
				n.awaitMembers(2)
				n.tell(order{Op: "load", Keys: keys, Workers: 4, Timeout: patient})
			}
			nodes[0].awaitRequests(2 * keys)
			before := nodes
			watches := []*lateness.Watch{nodes[0].watch(), nodes[1].watch()}
			third := join(0)
			nodes = append(nodes, third)
			third.tell(order{Op: "load", Keys: keys, Workers: 4, Timeout: patient})
			for _, n := range nodes {
				n.awaitMembers(3)
			}
			agreed := time.Now()
			require.Eventually(t, func() bool {
				return duplicates(nodes) == 0 && before[0].state().Evictions > 0 && before[1].state().Evictions > 0
			}, 5*time.Second, 5*time.Millisecond)
			seen := time.Since(agreed)
			for i, n := range before {
				s := n.state()
				require.Equal(t, 1, s.Evictions, "changes that moved grains away")
				require.NoError(t, watches[i].Stop())
				waited := watches[i].Within(s.Evicting)
				t.Logf("what has moved from %s was gone after %s (in as much time its threads waited %s for processors at most); no duplicate was seen %s after the views agreed",
					s.ID, s.Evicting, waited, seen)
				require.LessOrEqual(t, s.Evicting, gone+waited)
				require.LessOrEqual(t, s.Late, 1, "requests that an activation began too late")
			}
			for _, n := range nodes {
				n.awaitRequests(keys)
				r := n.tell(order{Op: "unload"})
				t.Logf("%d requests, slowest %v, by node %v", r.Requests, r.Slowest, r.Owners)
				require.Zero(t, r.Failed, r.Errors)
				require.Zero(t, r.Unknown, r.Errors)
				require.Greater(t, r.Requests, keys)
			}
			require.Zero(t, duplicates(nodes))
			require.NotEmpty(t, third.state().Identities)
		})
	}
}

// duplicates is how many grains run on more than one node.
func duplicates(nodes []*process) (n int) {
	seen := map[string]bool{}
	for _, p := range nodes {
		for _, identity := range p.state().Identities {
			if seen[identity] {
				n++
			}
			seen[identity] = true
		}
	}
	return n
}

// TestKilledNode kills one of two nodes: all grains are usable again when its lease is over and some, and what was under way
// to it ends at once with an outcome that is unknown.
func TestKilledNode(t *testing.T) {
	t.Parallel()
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	a := spawn(t, "node", setup{Etcd: etcd.hello.Addr})
	b := spawn(t, "node", setup{Etcd: etcd.hello.Addr, LeaseTTL: short})
	a.awaitMembers(2)
	before := a.tell(order{Op: "ask", Keys: keys, Workers: 8, Timeout: patient})
	require.Zero(t, before.Failed+before.Unknown, before.Errors)
	require.Len(t, before.Owners, 2)
	a.tell(order{Op: "load", Keys: keys, Workers: 8, Timeout: patient})
	b.kill()
	killed := time.Now()
	after := a.tell(order{Op: "ask", Keys: keys, Workers: 64, Timeout: patient, Again: true})
	took := time.Since(killed)
	t.Logf("all %d grains usable after %v", keys, took)
	require.Zero(t, after.Failed+after.Unknown, after.Errors)
	require.Len(t, after.Owners, 1)
	require.Less(t, took, short+2*time.Second) // the lease may have been renewed just before, and etcd looks twice a second
	r := a.tell(order{Op: "unload"})
	t.Logf("%d requests, %d unknown, slowest %v", r.Requests, r.Unknown, r.Slowest)
	require.Zero(t, r.Failed, r.Errors)
	require.LessOrEqual(t, r.Unknown, 8, r.Errors)
}

// TestDrainedNode drains one of two nodes under load from both: nobody notices.
func TestDrainedNode(t *testing.T) {
	t.Parallel()
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	a := spawn(t, "node", setup{Etcd: etcd.hello.Addr})
	b := spawn(t, "node", setup{Etcd: etcd.hello.Addr})
	a.awaitMembers(2)
	a.tell(order{Op: "load", Keys: keys, Workers: 8, Timeout: patient})
	require.Eventually(t, func() bool { return len(b.state().Identities) > keys/3 }, patient, 5*time.Millisecond)
	drained := b.tell(order{Op: "drain"})
	t.Logf("drained in %v", drained.Slowest)
	require.Empty(t, drained.Errors, "an error, or goroutines that are left")
	require.Less(t, drained.Slowest, 2*time.Second)
	require.Empty(t, b.state().Identities)
	a.awaitMembers(1)
	r := a.tell(order{Op: "unload"})
	t.Logf("%d requests, slowest %v", r.Requests, r.Slowest)
	require.Zero(t, r.Failed+r.Unknown, r.Errors)
	require.False(t, a.state().Lost)
	require.False(t, b.state().Lost)
}

// TestEtcdKilled keeps etcd away for longer than a lease: the nodes serve on, also grains that were not running, and when it is
// back nothing has changed.
func TestEtcdKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	etcd := spawn(t, "etcd", setup{Dir: dir, Addr: "127.0.0.1:0"})
	a := spawn(t, "node", setup{Etcd: etcd.hello.Addr})
	b := spawn(t, "node", setup{Etcd: etcd.hello.Addr})
	a.awaitMembers(2)
	b.awaitMembers(2)
	ask := order{Op: "ask", Keys: keys / 2, Workers: 8, Timeout: patient}
	require.Zero(t, a.tell(ask).Failed)
	etcd.kill()
	require.Eventually(t, func() bool { return a.state().Ready != "" && b.state().Ready != "" }, patient, 10*time.Millisecond)
	require.Contains(t, a.state().Ready, "the view is static")
	ask.Keys = keys
	for _, n := range []*process{a, b} {
		r := n.tell(ask)
		require.Zero(t, r.Failed+r.Unknown, r.Errors)
		require.Len(t, r.Owners, 2)
	}
	etcd = spawn(t, "etcd", setup{Dir: dir, Addr: etcd.hello.Addr})
	require.Eventually(t, func() bool { return a.state().Ready == "" && b.state().Ready == "" }, patient, 10*time.Millisecond)
	c := spawn(t, "node", setup{Etcd: etcd.hello.Addr})
	for _, n := range []*process{a, b, c} {
		n.awaitMembers(3)
		require.False(t, n.state().Lost)
	}
	etcd.kill()
	require.Empty(t, c.tell(order{Op: "drain"}).Errors, "a node that cannot tell etcd that it leaves has stopped all the same")
}

// TestNodeAloneStartsAgainAfterKill has a node with its own etcd killed in the middle of its work.
func TestNodeAloneStartsAgainAfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 3 {
		begin := time.Now()
		n := spawn(t, "node", setup{Dir: dir})
		t.Logf("started in %v", time.Since(begin))
		require.Len(t, n.state().Members, 1)
		r := n.tell(order{Op: "ask", Keys: keys, Workers: 4, Timeout: patient})
		require.Zero(t, r.Failed+r.Unknown, r.Errors)
		require.Empty(t, n.state().Ready)
		n.kill()
	}
}

// TestTwoNodes is what a request and a message do when the grain is on the other node.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	a := spawn(t, "node", setup{Etcd: etcd.hello.Addr})
	b := spawn(t, "node", setup{Etcd: etcd.hello.Addr})
	a.awaitMembers(2)
	b.awaitMembers(2)

	require.Empty(t, a.tell(order{Op: "tell", Keys: keys}).Errors)
	require.Eventually(t, func() bool { return a.state().Heard == keys && b.state().Heard == keys }, patient, 5*time.Millisecond)
	a.tell(order{Op: "local", Keys: keys})
	b.tell(order{Op: "local", Keys: keys})
	require.Eventually(t, func() bool { return a.state().Told+b.state().Told == keys }, patient, 5*time.Millisecond)
	there := b.state().Identities
	require.InDelta(t, keys/2, len(there), keys/10)
	require.Len(t, a.state().Identities, keys-len(there))

	require.Contains(t, a.tell(order{Op: "untravelled", Key: there[0]}).Errors[0], "cannot travel")
	silent := a.tell(order{Op: "wait", Key: there[0], Timeout: 100 * time.Millisecond})
	require.Contains(t, silent.Errors[0], "no answer in time, outcome unknown")

	b.tell(order{Op: "passivate"}) // a does not know that; it asks again, and nobody notices
	require.Eventually(t, func() bool { return len(b.state().Identities) == 0 }, patient, 5*time.Millisecond)
	r := a.tell(order{Op: "ask", Keys: keys, Workers: 8, Timeout: patient})
	require.Zero(t, r.Failed+r.Unknown, r.Errors)
	require.Len(t, b.state().Identities, len(there))

	before := b.state().Asked
	lost := make(chan report, 1)
	go func() { lost <- a.tell(order{Op: "wait", Key: there[0], Timeout: time.Minute}) }()
	require.Eventually(t, func() bool { return b.state().Asked > before }, patient, time.Millisecond)
	b.kill()
	r = <-lost
	require.Contains(t, r.Errors[0], "outcome unknown")
	require.Less(t, r.Slowest, patient, "a request to a node that was killed ends when its connection does")
}
