package actors

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// TestAnIdleGrainIsSmall holds what an idle lock with a key and a connected device takes: the actor, its mailbox and PID,
// the shell and the state. It is not parallel, so that it measures nothing else.
func TestAnIdleGrainIsSmall(t *testing.T) {
	const (
		locks = 2000
		limit = 4 << 10
	)
	j := inMemory(t)
	before := start(t, j, nil)
	ids := make([]lock.ID, locks)
	for i := range ids {
		ids[i] = before.newLock()
		before.newKey(ids[i], 0)
	}
	before.stop()

	w := start(t, j, nil)
	empty := heap()
	for _, id := range ids {
		w.own(id)
		w.connect(id, nil)
	}
	for _, pid := range w.pids() {
		node.System().Root.Send(pid, rest{})
	}
	w.must(ids[0], &lock.GetLock{By: owner})
	each := int(heap()-empty) / locks
	t.Logf("%d bytes a lock; the grain's struct takes %d, an op %d, a waiter %d",
		each, unsafe.Sizeof(grain{}), unsafe.Sizeof(op{}), unsafe.Sizeof(waiter{}))
	require.Less(t, each, limit)
	require.EqualValues(t, locks, w.metric("activations"))
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
