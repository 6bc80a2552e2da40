package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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
