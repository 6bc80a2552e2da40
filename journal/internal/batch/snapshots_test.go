package batch

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

func TestSnapshotsWaitInBoundedSpace(t *testing.T) {
	t.Parallel()
	s := NewSnapshots()
	put := func(stream int, version uint64, size int) bool {
		return s.Put(journal.Snapshot{Stream: fmt.Sprint(stream), Version: version, Data: make([]byte, size)})
	}
	for i := range maxPending {
		require.True(t, put(i, 5, 100))
	}
	require.False(t, put(maxPending, 5, 100), "no more streams")
	require.True(t, put(0, 6, 200), "a newer one takes the place of the older")
	require.True(t, put(1, 4, 1<<20), "an older one is not wanted, but nothing is wrong")
	require.False(t, put(1, 7, maxPendingBytes), "no more bytes")
	require.Equal(t, maxPending*100+100, s.bytes)

	taken := map[string]uint64{}
	for more := true; more; {
		var some []journal.Snapshot
		some, more = s.Take()
		require.LessOrEqual(t, len(some), maxSaved)
		for _, snapshot := range some {
			require.NotContains(t, taken, snapshot.Stream)
			taken[snapshot.Stream] = snapshot.Version
		}
	}
	require.Len(t, taken, maxPending)
	require.Equal(t, uint64(6), taken["0"])
	require.Equal(t, uint64(5), taken["1"])
	require.Zero(t, s.bytes)

	require.True(t, put(1, 1, maxSavedBytes))
	require.True(t, put(2, 1, maxSavedBytes))
	some, more := s.Take()
	require.Len(t, some, 1, "a batch of snapshots is small")
	require.True(t, more)
}
