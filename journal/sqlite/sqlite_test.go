package sqlite_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sqliteconn "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/journaltest"
	"github.com/latchkey/latchkey/journal/sqlite"
)

func open(t testing.TB, path string) *sqlite.Journal {
	t.Helper()
	j, err := sqlite.Open(sqlite.Options{Path: path})
	require.NoError(t, err)
	return j
}

func TestJournal(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(t *testing.T) (journal.Journal, func() journal.Journal) {
		path := filepath.Join(t.TempDir(), "journal.db")
		return open(t, path), func() journal.Journal { return open(t, path) }
	})
}

// behind opens the file beside the journal, as somebody with the sqlite3 shell would.
func behind(t *testing.T, path, script string) {
	t.Helper()
	conn, err := sqliteconn.OpenConn(path, sqliteconn.OpenReadWrite)
	require.NoError(t, err)
	require.NoError(t, sqlitex.ExecuteScript(conn, script, nil))
	require.NoError(t, conn.Close())
}

// A reader beside the journal keeps its WAL from being moved at the start. That is no reason not to start, but one to say so.
func TestAStartBesideAReaderIsTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	one := func(j journal.Journal, expected uint64) {
		_, err := journal.Do(t.Context(), j, happened("a", expected, 1))
		require.NoError(t, err)
	}
	j := open(t, path)
	one(j, 0)
	reader, err := sqliteconn.OpenConn(path, sqliteconn.OpenReadOnly)
	require.NoError(t, err)
	for _, statement := range []string{"BEGIN", "SELECT count(*) FROM records"} {
		require.NoError(t, sqlitex.ExecuteTransient(reader, statement, nil))
	}
	one(j, 1)
	require.NoError(t, j.Close())
	for _, told := range []bool{true, false} {
		var log bytes.Buffer
		j, err := sqlite.Open(sqlite.Options{Path: path, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.Equal(t, told, strings.Contains(log.String(), "level=WARN"), log.String())
		if told {
			one(j, 2)
			require.NoError(t, reader.Close())
		}
		require.NoError(t, j.Close())
	}
}

// together submits appends at once and returns their errors.
func together(t testing.TB, j journal.Journal, appends []journal.Append) []error {
	t.Helper()
	errs := make([]error, len(appends))
	var answers sync.WaitGroup
	answers.Add(len(appends))
	for i, a := range appends {
		j.Submit(a, func(r journal.Result) {
			errs[i] = r.Err
			answers.Done()
		})
	}
	answers.Wait()
	return errs
}

func TestPoisonedBatchIsBisected(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	behind(t, path, `CREATE TRIGGER poison BEFORE INSERT ON records WHEN NEW.type = 'Poison'
		BEGIN SELECT RAISE(ABORT, 'poisoned'); END`)
	var appends []journal.Append
	for i := range 200 {
		a := happened(fmt.Sprint("stream ", i%100), uint64(i/100), 1)
		if i == 17 || i == 60 {
			a.Records[0].Type = "Poison"
		}
		appends = append(appends, a)
	}
	for i, err := range together(t, j, appends) {
		switch i {
		case 17, 60:
			require.ErrorIs(t, err, journal.ErrInvalid)
			require.ErrorContains(t, err, "poisoned")
		case 117, 160: // built on what was refused
			require.ErrorIs(t, err, journal.ErrConflict)
		default:
			require.NoError(t, err)
		}
	}
	require.Len(t, journaltest.Whole(t, j), 196)
	require.NoError(t, j.Healthy(t.Context()))
	require.NoError(t, j.Close())
}

func TestRecordsFromBehindAreAConflict(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	for _, stream := range []string{"a", "b"} {
		_, err := journal.Do(t.Context(), j, happened(stream, 0, 1))
		require.NoError(t, err)
	}
	behind(t, path, "INSERT INTO records SELECT 3, stream, 2, position, 0, type, time, 'from behind', data FROM records WHERE position = 1")
	_, err := journal.Do(t.Context(), j, happened("a", 1, 1))
	require.ErrorIs(t, err, journal.ErrConflict)
	behind(t, path, "INSERT INTO records SELECT 4, stream, 3, position, 0, type, time, 'from behind', data FROM records WHERE position = 3")
	errs := together(t, j, []journal.Append{happened("a", 2, 1), happened("b", 1, 1), happened("c", 0, 1)})
	require.ErrorIs(t, errs[0], journal.ErrConflict)
	require.NoError(t, errs[1])
	require.NoError(t, errs[2])
	require.Len(t, journaltest.Whole(t, j), 6)
	require.NoError(t, j.Close())
}

func TestWALStaysSmall(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { // a reader that is always there does not hold the WAL up
		for after := uint64(0); ; {
			records, err := j.ReadAll(t.Context(), after, 100)
			if err != nil {
				t.Error(err)
				return
			}
			if after += uint64(len(records)); len(records) == 0 {
				after = 0
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	const rounds, streams, size = 60, 200, 8000
	var largest int64
	for round := range rounds {
		var appends []journal.Append
		for i := range streams {
			a := happened(fmt.Sprint("stream ", i), uint64(round), 1)
			a.Records[0].Data = make([]byte, size)
			appends = append(appends, a)
		}
		for _, err := range together(t, j, appends) {
			require.NoError(t, err)
		}
		wal, err := os.Stat(path + "-wal")
		require.NoError(t, err)
		largest = max(largest, wal.Size())
	}
	close(stop)
	reader.Wait()
	t.Logf("%d MB were written, the WAL was never larger than %d MB", rounds*streams*size>>20, largest>>20)
	require.Less(t, largest, int64(80<<20))
	require.NoError(t, j.Close())
	require.NoFileExists(t, path+"-wal")
}

func TestOpenRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string)
		says    string
	}{
		"newer schema": {func(t *testing.T, path string) {
			require.NoError(t, open(t, path).Close())
			behind(t, path, "PRAGMA user_version = 99")
		}, "schema 99 is newer than this program"},
		"another program's": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, nil, 0o600))
			behind(t, path, "CREATE TABLE t (x)")
		}, "not a journal"},
		"not SQLite": {func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("something else ", 1000)), 0o600))
		}, "not a database"},
		"no folder": {func(t *testing.T, path string) { require.NoError(t, os.Remove(filepath.Dir(path))) }, "no such file"},
		"a folder":  {func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) }, "unable to open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "folder", "journal.db")
			require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
			c.prepare(t, path)
			_, err := sqlite.Open(sqlite.Options{Path: path})
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(path + suffix)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), suffix)
	}
	require.NoError(t, j.Close())
}

// appends returns the appends by result, as the registry has them.
func appends(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	require.NoError(t, err)
	found := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "latchkey_journal_appends_total" {
			for _, m := range family.GetMetric() {
				found[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return found
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	registry := prometheus.NewRegistry()
	for range 2 { // a journal that closes takes its metrics with it
		j, err := sqlite.Open(sqlite.Options{Path: path, Registerer: registry})
		require.NoError(t, err)
		version, _, err := j.Head(t.Context(), "a")
		require.NoError(t, err)
		errs := together(t, j, []journal.Append{happened("a", version, 1), happened("a", version, 1)})
		require.NoError(t, errs[0])
		require.Error(t, errs[1])
		require.Equal(t, map[string]float64{"claimed": 0, "conflict": 1, "deadline": 0, "durable": 1, "failed": 0, "invalid": 0, "unknown": 0}, appends(t, registry))
		require.NoError(t, j.Close())
	}
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Empty(t, families)
}
