package verify_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/latchkey/latchkey/internal/verify"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
	sqlitejournal "github.com/latchkey/latchkey/journal/sqlite"
	"github.com/latchkey/latchkey/lock"
)

func inMemory(t testing.TB) journal.Journal {
	j := memory.New()
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func inSQLite(t testing.TB, path string) journal.Journal {
	j, err := sqlitejournal.Open(sqlitejournal.Options{Path: path})
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func inPostgres(t testing.TB, database string) journal.Journal {
	j, err := postgres.Open(t.Context(), postgres.Options{URL: pgtest.Shared(t).URL(database)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func TestSoundJournal(t *testing.T) {
	t.Parallel()
	for name, j := range map[string]journal.Journal{
		"memory": inMemory(t), "sqlite": inSQLite(t, filepath.Join(t.TempDir(), "journal.db")), "postgres": inPostgres(t, pgtest.Database(t)),
	} {
		found, s := check(t, j)
		require.Empty(t, found)
		require.Zero(t, s.Records)
		world(t, j)
		found, s = check(t, j)
		require.Empty(t, found, name)
		require.Equal(t, "25 records of 3 streams, 10 index rows, 1 snapshots", s.String(), name)
	}
}

// TestWrongRecords appends what no lock would: each is found, and nothing else.
func TestWrongRecords(t *testing.T) {
	t.Parallel()
	const k = lock.TempKeyID("00000000-0000-4000-9000-000002000001") // may be used once, and was
	const k7 = lock.TempKeyID("00000000-0000-4000-9000-000002000002")
	for name, c := range map[string]struct {
		events []lock.Event
		raw    journal.NewRecord
		want   []string
	}{
		"unreadable":   {raw: journal.NewRecord{Type: "LockOpened", Data: []byte("{")}, want: []string{"cannot be read"}},
		"unknown type": {raw: journal.NewRecord{Type: "LockMelted", Data: []byte("{}")}, want: []string{"unknown event type"}},
		"created twice": {events: []lock.Event{&lock.LockCreated{LockID: 2, Stamp: lock.Stamp{LockUUID: "00000000-0000-4000-8000-000000000002"}}},
			want: []string{"a lock is created once"}},
		"used too often": {events: []lock.Event{
			&lock.TempKeyUsed{TempKeyID: k, UsedCount: 2, RequestID: "r"}, &lock.LockOpenRequested{TempKeyID: k, RequestID: "r", CommandID: "c"},
		}, want: []string{"is used 2 times, and may be used 1 times"}},
		"used, but not counted": {events: []lock.Event{
			&lock.TempKeyUsed{TempKeyID: k7, UsedCount: 0, RequestID: "r"}, &lock.LockOpenRequested{TempKeyID: k7, RequestID: "r", CommandID: "c"},
		}, want: []string{"is used for the 1. time, not the 0."}},
		"opened without a use": {events: []lock.Event{&lock.LockOpenRequested{TempKeyID: k, RequestID: "r", CommandID: "c"}},
			want: []string{"the request r opens with the key " + string(k) + " without using it"}},
		"returned without a use": {events: []lock.Event{&lock.TempKeyUseReturned{TempKeyID: k7, UsedCount: -1, RequestID: "r", CommandID: "c"}},
			want: []string{"the request r has not used the key"}},
		"returned twice": {events: []lock.Event{
			&lock.TempKeyUsed{TempKeyID: k7, UsedCount: 1, RequestID: "r"}, &lock.LockOpenRequested{TempKeyID: k7, RequestID: "r", CommandID: "c"},
			&lock.LockOpenFailed{CommandID: "c", Outcome: lock.Refused},
			&lock.TempKeyUseReturned{TempKeyID: k7, UsedCount: 0, RequestID: "r", CommandID: "c"},
			&lock.TempKeyUseReturned{TempKeyID: k7, UsedCount: -1, RequestID: "r", CommandID: "c"},
		}, want: []string{"the use of the request r came back before"}},
		"opened after all": {events: []lock.Event{
			&lock.TempKeyUsed{TempKeyID: k7, UsedCount: 1, RequestID: "r"}, &lock.LockOpenRequested{TempKeyID: k7, RequestID: "r", CommandID: "c"},
			&lock.LockOpenFailed{CommandID: "c", Outcome: lock.Refused},
			&lock.TempKeyUseReturned{TempKeyID: k7, UsedCount: 0, RequestID: "r", CommandID: "c"},
			&lock.LockOpened{CommandID: "c"},
		}, want: []string{"the command c has ended before, as refused", "all its uses had come back"}},
		"opened for somebody else": {events: []lock.Event{
			&lock.LockOpenRequested{RequestID: "r", CommandID: "c"},
			&lock.LockOpened{CommandID: "c", OpenFor: lock.OpenFor{RequestIDs: []lock.RequestID{"r", "other"}}},
		}, want: []string{"the request other is not one of its command"}},
		"opened for nobody": {events: []lock.Event{&lock.LockOpened{CommandID: "c"}}, want: []string{"nobody has asked for the command c"}},
		"no such key":       {events: []lock.Event{&lock.TempKeyDeleted{TempKeyID: "none"}}, want: []string{"there is no key none"}},
		"two of one UUID": {events: []lock.Event{&lock.TempKeyCreated{Key: lock.TempKey{UUID: k, CreatedBy: "super"}}},
			want: []string{"the key " + string(k) + " is there already"}},
		"another's UUID": {events: []lock.Event{&lock.TempKeyCreated{Key: lock.TempKey{UUID: "00000000-0000-4000-9000-000001000001", CreatedBy: "super"}}},
			want: []string{"makes the claim temp-key \"00000000-0000-4000-9000-000001000001\", which is lock/1's", "entry temp-key-by-creator"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := inMemory(t)
			_, two := world(t, j)
			a := journal.Append{Stream: two.stream(), Expected: two.state.Version, ID: "wrong"}
			for _, e := range c.events {
				typ, data, err := lock.MarshalEvent(e)
				require.NoError(t, err)
				a.Records = append(a.Records, journal.NewRecord{Type: typ, Time: two.now, Data: data})
			}
			if c.events == nil {
				a.Records = []journal.NewRecord{c.raw}
			}
			_, err := journal.Do(t.Context(), j, a)
			require.NoError(t, err)
			found, _ := check(t, j)
			requireFound(t, c.want, found)
		})
	}
}

// requireFound wants each of the texts in a finding of its own, and no finding besides.
func requireFound(t *testing.T, want, found []string) {
	t.Helper()
	all := strings.Join(found, "\n")
	for _, text := range want {
		require.Contains(t, all, text)
	}
	require.Len(t, found, len(want), all)
}

// damages are done to the tables of lock/1, lock/2 and org/acme. The streams have numbers in SQLite, whose engine refuses
// to read what makes no sense to it.
var damages = map[string]struct {
	sqlite, postgres string
	want             []string // if empty: something
}{
	"a record is gone": {
		"DELETE FROM records WHERE position = 9", "DELETE FROM records WHERE position = 9", nil,
	},
	"the last record is gone": {
		"DELETE FROM records WHERE type = 'ApiKeyCreated'", "DELETE FROM records WHERE type = 'ApiKeyCreated'", nil,
	},
	"a version is skipped": {
		"UPDATE records SET version = 99 WHERE stream = 1 AND version = 12", "UPDATE records SET version = 99 WHERE stream = 'lock/1' AND version = 12", nil,
	},
	"a record is of another stream": {
		"UPDATE records SET stream = 2, version = 77 WHERE position = 5", "UPDATE records SET stream = 'lock/2', version = 77 WHERE position = 5", nil,
	},
	"a count was changed": {
		`UPDATE records SET data = CAST(replace(CAST(data AS TEXT), '"usedCount":1', '"usedCount":0') AS BLOB) WHERE type = 'TempKeyUsed' AND stream = 2`,
		`UPDATE records SET data = convert_to(replace(convert_from(data, 'UTF8'), '"usedCount":1', '"usedCount":0'), 'UTF8') WHERE type = 'TempKeyUsed' AND stream = 'lock/2'`,
		[]string{"is used for the 1. time, not the 0."},
	},
	"a record is cut": {
		"UPDATE records SET data = substr(data, 1, 40) WHERE position = 3", "UPDATE records SET data = substr(data, 1, 40) WHERE position = 3", nil,
	},
	"a claim is gone": {
		"DELETE FROM claims WHERE kind = 'api-key'", "DELETE FROM claims WHERE kind = 'api-key'", []string{"is missing: org/acme made it"},
	},
	"a claim is another's": {
		"UPDATE claims SET stream = 1 WHERE kind = 'device' AND stream = 2", "UPDATE claims SET stream = 'lock/1' WHERE kind = 'device' AND stream = 'lock/2'",
		[]string{"is of lock/1, but its records are those of lock/2"},
	},
	"a claim is nobody's": {
		"UPDATE claims SET stream = 66 WHERE kind = 'device' AND stream = 2", "UPDATE claims SET stream = 'lock/66' WHERE kind = 'device' AND stream = 'lock/2'",
		[]string{"66, but its records are those of lock/2"},
	},
	"a claim too many": {
		"INSERT INTO claims VALUES ('device', 'x', 1)", "INSERT INTO claims VALUES ('device', 'x', 'lock/1')",
		[]string{`claim device "x": is of lock/1, but no record has made it`},
	},
	"an entry is gone": {
		"DELETE FROM entries WHERE stream = 1", "DELETE FROM entries WHERE stream = 'lock/1'", []string{"is missing: lock/1 made it"},
	},
	"an entry was not removed": {
		"INSERT INTO entries VALUES ('temp-key-by-creator', 'super', '00000000-0000-4000-9000-000001000002', 1)",
		"INSERT INTO entries VALUES ('temp-key-by-creator', 'super', '00000000-0000-4000-9000-000001000002', 'lock/1')",
		[]string{"was removed at position"},
	},
	"an entry too many": {
		"INSERT INTO entries VALUES ('temp-key-by-creator', 'eve', 'x', 1)", "INSERT INTO entries VALUES ('temp-key-by-creator', 'eve', 'x', 'lock/1')",
		[]string{`entry temp-key-by-creator "eve" "x": is of lock/1, but no record has made it`},
	},
	"an entry is another's": {
		"UPDATE entries SET stream = 2 WHERE stream = 1", "UPDATE entries SET stream = 'lock/2' WHERE stream = 'lock/1'",
		[]string{"is of lock/2, but its records are those of lock/1"},
	},
	"a snapshot counts wrongly": {
		`UPDATE snapshots SET data = CAST(replace(CAST(data AS TEXT), '"maxUses":3', '"maxUses":4') AS BLOB)`,
		`UPDATE snapshots SET data = convert_to(replace(convert_from(data, 'UTF8'), '"maxUses":3', '"maxUses":4'), 'UTF8')`,
		[]string{"is not what the records say"},
	},
	"a snapshot is cut": {
		"UPDATE snapshots SET data = substr(data, 1, 50)", "UPDATE snapshots SET data = substr(data, 1, 50)", []string{"cannot be read"},
	},
	"a snapshot is ahead": {
		"UPDATE snapshots SET version = 50", "UPDATE snapshots SET version = 50", []string{"the snapshot is of version 50, but the records end at"},
	},
	"a snapshot is of an older version": {
		"UPDATE snapshots SET version = version - 1", "UPDATE snapshots SET version = version - 1", []string{"is not what the records say"},
	},
	"a snapshot is of another lock": {
		"UPDATE snapshots SET stream = 2, version = 3", "UPDATE snapshots SET stream = 'lock/2', version = 3", []string{"lock/2: the snapshot of version 3"},
	},
	"a head is ahead": {
		"", "UPDATE streams SET version = version + 1 WHERE name = 'lock/2'", []string{"lock/2: the head is at version"},
	},
	"a head is behind": {
		"", "UPDATE streams SET version = version - 1 WHERE name = 'org/acme'", []string{"org/acme: the head is at version 0, but the records go to 1"},
	},
	"a head names another append": {
		"", "UPDATE streams SET append_id = 'x' WHERE name = 'lock/2'", []string{`lock/2: the head names the append "x"`},
	},
	"a head is gone": {
		"", "DELETE FROM streams WHERE name = 'org/acme'", nil,
	},
	"a head without records": {
		"", "INSERT INTO streams VALUES (4, 'lock/3', 'x')", []string{"lock/3: the head is at version"},
	},
	"a stream without records": {
		"INSERT INTO streams (name) VALUES ('lock/3')", "", nil,
	},
	"the name of a stream is gone": {
		"DELETE FROM streams WHERE name = 'org/acme'", "", nil,
	},
	"a stream has a strange name": {
		"UPDATE streams SET name = 'door/1' WHERE name = 'org/acme'", "", nil,
	},
}

func TestDamagedSQLite(t *testing.T) {
	t.Parallel()
	for name, d := range damages {
		if d.sqlite == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "journal.db")
			j := inSQLite(t, path)
			world(t, j)
			require.NoError(t, j.Close())
			conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
			require.NoError(t, err)
			require.NoError(t, sqlitex.ExecuteTransient(conn, d.sqlite, nil))
			require.Positive(t, conn.Changes(), "the damage is none")
			require.NoError(t, conn.Close())
			j, err = sqlitejournal.Open(sqlitejournal.Options{Path: path, Logger: slog.New(slog.DiscardHandler)})
			if err == nil {
				t.Cleanup(func() { _ = j.Close() })
				damaged(t, j, d.want)
				return
			}
			require.ErrorContains(t, err, "malformed")
			require.Nil(t, d.want)
		})
	}
}

func TestDamagedPostgres(t *testing.T) {
	t.Parallel()
	for name, d := range damages {
		if d.postgres == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := pgtest.Database(t)
			j := inPostgres(t, database)
			world(t, j)
			require.NoError(t, pgtest.Shared(t).Exec(t.Context(), database, d.postgres))
			damaged(t, j, d.want)
		})
	}
}

func damaged(t *testing.T, j journal.Journal, want []string) {
	t.Helper()
	var found []string
	_, err := verify.Check(t.Context(), j, func(f verify.Finding) { found = append(found, f.String()) })
	if want != nil {
		require.NoError(t, err)
		requireFound(t, want, found)
		return
	}
	require.True(t, len(found) > 0 || err != nil)
	if err != nil {
		require.ErrorContains(t, err, "malformed")
	}
}

// TestJournalInUse checks a journal that is written to meanwhile: nothing may look wrong.
func TestJournalInUse(t *testing.T) {
	t.Parallel()
	j := inPostgres(t, pgtest.Database(t))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			d := newDoor(t, j, lock.ID(n+1))
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				k := d.key(i, 2)
				d.answer(d.open(k), i%2 == 0)
				if i%3 == 0 {
					d.do(&lock.DeleteTempKey{By: super, TempKeyID: k})
				}
				if i%5 == 0 {
					d.save()
				}
			}
		})
	}
	var last uint64
	for start := time.Now(); time.Since(start) < 2*time.Second; {
		found, s := check(t, j)
		require.Empty(t, found)
		last = s.Records
	}
	close(stop)
	wg.Wait()
	require.Positive(t, last)
}
