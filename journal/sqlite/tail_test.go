package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/journaltest"
)

// openSaving opens a journal that saves heads all the time, and forgets them.
func openSaving(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := Open(Options{Path: path})
	require.NoError(t, err)
	j.writer.flush.every, j.writer.maxHeads = 5, 2
	return j
}

func TestJournalWhoseHeadsAreSavedAllTheTime(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(t *testing.T) (journal.Journal, func() journal.Journal) {
		path := filepath.Join(t.TempDir(), "journal.db")
		return openSaving(t, path), func() journal.Journal { return openSaving(t, path) }
	})
}

// add appends n records to a stream of that many.
func add(t *testing.T, j *Journal, stream string, expected uint64, n int) {
	t.Helper()
	a := journal.Append{Stream: stream, Expected: expected, ID: fmt.Sprint(stream, "@", expected)}
	for i := range n {
		a.Records = append(a.Records, journal.NewRecord{Type: "A", Data: fmt.Append(nil, stream, "#", expected+1+uint64(i))})
	}
	_, err := journal.Do(t.Context(), j, a)
	require.NoError(t, err)
}

// streamsFit checks that each stream is what the whole journal has of it.
func streamsFit(t *testing.T, j *Journal) (total int) {
	t.Helper()
	whole := map[string][]journal.Record{}
	for _, r := range journaltest.Whole(t, j) {
		whole[r.Stream] = append(whole[r.Stream], r)
		total++
	}
	for stream, want := range whole {
		var got []journal.Record
		for r, err := range journal.All(t.Context(), j, stream, 0) {
			require.NoError(t, err)
			got = append(got, *r)
		}
		require.Equal(t, want, got)
	}
	return total
}

func TestHeadsAreFoundAfterACrashAtAnyMoment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.db")
	j := openSaving(t, path)
	const streams, appends = 40, 400
	var versions [streams]uint64
	for i := range appends {
		stream := i % 7 // is moved often, also while it is due
		if i%3 == 0 {
			stream = i % streams
		}
		add(t, j, fmt.Sprint("stream ", stream), versions[stream], 1+i%2)
		versions[stream] += uint64(1 + i%2)
		if i%20 != 0 {
			continue
		}
		crashed := filepath.Join(dir, fmt.Sprint(i))
		for _, suffix := range []string{"", "-wal"} { // what a kill would leave
			content, err := os.ReadFile(path + suffix)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(crashed+suffix, content, 0o600))
		}
		after := openSaving(t, crashed)
		require.Equal(t, streamsFit(t, j), streamsFit(t, after))
		add(t, after, fmt.Sprint("stream ", stream), versions[stream], 3)
		streamsFit(t, after)
		require.NoError(t, after.Close())
	}
	require.NoError(t, j.Close())
}

func script(t *testing.T, path, script string) {
	t.Helper()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteScript(conn, script, nil))
	require.NoError(t, conn.Close())
}

func TestRecordsThatMakeNoSenseStopTheJournal(t *testing.T) {
	t.Parallel()
	const (
		saved   = "UPDATE heads_known SET position = 6; UPDATE streams SET head = 6;"
		another = `INSERT INTO records SELECT 7, stream, version, previous, milestone, type, time, append_id, data
			FROM records WHERE position = 6;`
	)
	for name, c := range map[string]struct{ script, says string }{
		"lost at the end":        {saved + "DELETE FROM records WHERE position = 6", "the head of a is lost"},
		"lost in the middle":     {saved + "DELETE FROM records WHERE position = 4", "record 4 is not version 4 of a"},
		"of another stream":      {saved + "UPDATE records SET stream = 77 WHERE position = 4", "record 4 is not version 4 of a"},
		"version twice":          {saved + "UPDATE records SET version = 3 WHERE position = 4", "record 4 is not version 4 of a"},
		"head twice":             {saved + another, "record 7 of a does not follow record 6"},
		"in the tail, twice":     {another, "record 7 of a does not follow record 6"},
		"in the tail, not there": {"DELETE FROM records WHERE position = 4", "record 5 of a does not follow record 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "journal.db")
			j, err := Open(Options{Path: path})
			require.NoError(t, err)
			add(t, j, "a", 0, 6)
			require.NoError(t, j.Close())
			script(t, path, c.script)

			if j, err = Open(Options{Path: path}); err == nil {
				_, err = j.Read(t.Context(), "a", 0, 10)
				require.ErrorIs(t, err, journal.ErrFailed)
				require.ErrorIs(t, j.Close(), journal.ErrFailed)
			}
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestLostHeadStopsTheWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := Open(Options{Path: path})
	require.NoError(t, err)
	add(t, j, "a", 0, 1)
	require.NoError(t, j.Close())
	script(t, path, "DELETE FROM records")
	j, err = Open(Options{Path: path})
	require.NoError(t, err)
	_, err = journal.Do(t.Context(), j, journal.Append{Stream: "a", ID: "x", Records: []journal.NewRecord{{Type: "A"}}})
	require.ErrorIs(t, err, journal.ErrFailed)
	require.ErrorContains(t, err, "the head of a is lost")
	require.ErrorIs(t, j.Close(), journal.ErrFailed)
}

func TestOldSchemaIsMigrated(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	script(t, path, migrations[0]+fmt.Sprintf("; PRAGMA application_id = %d; PRAGMA user_version = 1;", applicationID)+`
		INSERT INTO streams VALUES (1, 'a'), (2, 'b'), (3, 'c');
		WITH RECURSIVE n (position) AS (SELECT 1 UNION ALL SELECT position + 1 FROM n WHERE position < 2000)
		INSERT INTO records SELECT position, stream, row_number() OVER (PARTITION BY stream ORDER BY position), 'A', 0, 'x', x'00'
			FROM (SELECT position, iif(position = 7, 3, 1 + position % 2) AS stream FROM n);`)
	j, err := Open(Options{Path: path})
	require.NoError(t, err)
	require.Equal(t, 2000, streamsFit(t, j))
	for _, after := range []uint64{0, 200, 255, 256, 257, 511, 900} {
		records, err := j.Read(t.Context(), "b", after, 3)
		require.NoError(t, err)
		require.Len(t, records, 3)
		require.Equal(t, after+1, records[0].Version)
	}
	version, _, err := j.Head(t.Context(), "b")
	require.NoError(t, err)
	add(t, j, "b", version, 300)
	add(t, j, "c", 1, 1)
	add(t, j, "d", 0, 1)
	require.Equal(t, 2302, streamsFit(t, j))
	require.NoError(t, j.Close())
}

// Whoever wrote a snapshot of the first form may have dropped what it did not know of the records.
func TestSnapshotsOfForgetfulProgramsAreGone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	script(t, path, migrations[0]+";"+migrations[1]+fmt.Sprintf("; PRAGMA application_id = %d; PRAGMA user_version = 2;", applicationID)+`
		INSERT INTO streams VALUES (1, 'a', 1), (2, 'b', 2);
		INSERT INTO records VALUES (1, 1, 1, 0, 0, 'A', 0, 'x', x'00'), (2, 2, 1, 0, 0, 'A', 0, 'y', x'00');
		UPDATE heads_known SET position = 2;
		INSERT INTO snapshots VALUES (1, 1, 'lock-state-1', x'01'), (2, 1, 'another', x'02');`)
	j, err := Open(Options{Path: path})
	require.NoError(t, err)
	_, ok, err := j.LoadSnapshot(t.Context(), "a")
	require.NoError(t, err)
	require.False(t, ok)
	kept, ok, err := j.LoadSnapshot(t.Context(), "b")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "another", kept.Codec)
	require.Equal(t, 2, streamsFit(t, j))
	require.NoError(t, j.Close())
}
