package cluster_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFrozenNodeCostsNoMemory floods a node that does not read any more: what waits for it is bounded, and whoever asks hears of
// it in time. When it goes on, so does everything.
func TestFrozenNodeCostsNoMemory(t *testing.T) {
	t.Parallel()
	const (
		maxWaiting = 8192
		size       = 4 << 10
		timeout    = 100 * time.Millisecond
		times      = 80
	)
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	member := setup{Etcd: etcd.hello.Addr, LeaseTTL: time.Minute}
	a, b := spawn(t, "node", member), spawn(t, "node", member)
	a.awaitMembers(2)
	r := a.tell(order{Op: "ask", Keys: keys, Workers: 8, Timeout: patient})
	require.Zero(t, r.Failed+r.Unknown, r.Errors)
	before := a.state()
	require.Zero(t, before.Waiting)

	b.freeze()
	r = a.tell(order{Op: "ask", Keys: keys, Times: times, Workers: 1024, Timeout: timeout, Size: size})
	after := a.state()
	t.Logf("%d requests: %v answered, %d not executed, %d unknown, slowest %v; heap %d MB, then %d MB; %v wait", r.Requests, r.Owners, r.Failed,
		r.Unknown, r.Slowest, before.Heap>>20, after.Heap>>20, after.Waiting)
	require.NotZero(t, r.Busy)
	require.Less(t, r.Slowest, patient, "which is how long a request without a deadline may take")
	require.LessOrEqual(t, after.Waiting, float64(maxWaiting))
	require.Less(t, after.Heap, before.Heap+2*maxWaiting*size)

	b.thaw()
	require.Eventually(t, func() bool { return a.state().Waiting == 0 }, patient, 5*time.Millisecond)
	r = a.tell(order{Op: "ask", Keys: keys, Workers: 8, Timeout: patient, Again: true})
	require.Zero(t, r.Failed+r.Unknown, r.Errors)
	require.Len(t, r.Owners, 2)
}

// TestFrozenNodeIsReplaced freezes a node for longer than its lease: the other runs its grains, whoever waited learns in time
// that the outcome is unknown, and the node finds out when it wakes up.
func TestFrozenNodeIsReplaced(t *testing.T) {
	t.Parallel()
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	a := spawn(t, "node", setup{Etcd: etcd.hello.Addr})
	b := spawn(t, "node", setup{Etcd: etcd.hello.Addr, LeaseTTL: short})
	a.awaitMembers(2)
	require.Zero(t, a.tell(order{Op: "ask", Keys: keys, Workers: 8, Timeout: patient}).Failed)
	a.tell(order{Op: "load", Keys: keys, Workers: 8, Timeout: patient})
	b.freeze()
	frozen := time.Now()
	after := a.tell(order{Op: "ask", Keys: keys, Workers: 64, Timeout: 2 * patient, Again: true})
	took := time.Since(frozen)
	t.Logf("all %d grains usable after %v", keys, took)
	require.Less(t, took, short+6*time.Second)
	require.Zero(t, after.Failed+after.Unknown, after.Errors)
	require.Len(t, after.Owners, 1)
	r := a.tell(order{Op: "unload"})
	t.Logf("%d requests, %d unknown, slowest %v", r.Requests, r.Unknown, r.Slowest)
	require.Zero(t, r.Failed, r.Errors)
	require.LessOrEqual(t, r.Unknown, 8, r.Errors)
	require.Less(t, r.Slowest, short+6*time.Second, "the lease, three seconds for last words, and some")
	b.thaw()
	require.Eventually(t, func() bool { return b.state().Lost }, patient, 10*time.Millisecond)
	require.Empty(t, b.state().Identities)
}
