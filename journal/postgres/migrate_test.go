package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

// TestRunningNodesOutliveAMigration is a rolling upgrade: the first new node brings the tables forward under the old ones, which serve
// on until they are stopped, and are not let in again.
func TestRunningNodesOutliveAMigration(t *testing.T) {
	t.Parallel()
	database, server := pgtest.Database(t), pgtest.Shared(t)
	running := open(t, database)
	add := func(expected uint64) {
		_, err := journal.Do(t.Context(), running, journal.Append{
			Stream: "a", Expected: expected, ID: "x", Records: []journal.NewRecord{{Type: "A", Time: time.Now(), Data: []byte("{}")}},
		})
		require.NoError(t, err)
	}
	add(0)
	require.NoError(t, server.Exec(t.Context(), database, "INSERT INTO latchkey_schema (version_id, is_applied) VALUES (9999, true)"))
	add(1)
	require.NoError(t, running.Healthy(t.Context()))
	records, err := running.Read(t.Context(), "a", 0, 10)
	require.NoError(t, err)
	require.Len(t, records, 2)
	_, err = postgres.Open(t.Context(), postgres.Options{URL: server.URL(database)})
	require.ErrorContains(t, err, "schema 9999 is newer than this program")
}

// Whoever wrote a snapshot of the first form may have dropped what it did not know of the records.
func TestSnapshotsOfForgetfulProgramsAreGone(t *testing.T) {
	t.Parallel()
	database, server := pgtest.Database(t), pgtest.Shared(t)
	require.NoError(t, open(t, database).Close())
	require.NoError(t, server.Exec(t.Context(), database, `DELETE FROM latchkey_schema WHERE version_id > 2;
		INSERT INTO snapshots VALUES ('a', 1, 'lock-state-1', 'x'), ('b', 1, 'another', 'y')`))
	j := open(t, database)
	_, ok, err := j.LoadSnapshot(t.Context(), "a")
	require.NoError(t, err)
	require.False(t, ok)
	_, ok, err = j.LoadSnapshot(t.Context(), "b")
	require.NoError(t, err)
	require.True(t, ok)
}
