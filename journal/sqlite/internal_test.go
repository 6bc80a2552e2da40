package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

func TestOldestSQLite(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"3.51.3": true, "3.51.4": true, "3.51.10": true, "3.52.0": true, "3.54": true, "4.0.0": true, "3.51.3.1": true,
		"3.51.2": false, "3.50.9": false, "3.9.99": false, "2.99.99": false, "": false, "new": false,
	} {
		require.Equal(t, want, atLeast(version, oldestSQLite), version)
	}
}

func TestSnapshotsWaitInBoundedSpace(t *testing.T) {
	t.Parallel()
	s := newSnapshots()
	put := func(stream int, version uint64, size int) bool {
		return s.put(journal.Snapshot{Stream: fmt.Sprint(stream), Version: version, Data: make([]byte, size)})
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
		some, more = s.take()
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
	some, more := s.take()
	require.Len(t, some, 1, "a batch of snapshots is small")
	require.True(t, more)
}

func TestHungDiskIsNotHealthy(t *testing.T) {
	t.Parallel()
	j, err := Open(Options{Path: filepath.Join(t.TempDir(), "journal.db")})
	require.NoError(t, err)
	start := time.Now().Add(-hungCommit / 2)
	j.committing.Store(&start)
	require.NoError(t, j.Healthy(t.Context()))
	start = time.Now().Add(-2 * hungCommit)
	j.committing.Store(&start)
	require.ErrorContains(t, j.Healthy(t.Context()), "a commit has been waiting for the disk for 20s")
	j.committing.Store(nil)
	require.NoError(t, j.Healthy(t.Context()))
	require.NoError(t, j.Close())
}
