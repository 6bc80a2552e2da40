package postgres_test

import (
	"bytes"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

func TestUnsafeSettingsAreReported(t *testing.T) {
	t.Parallel()
	database, server := pgtest.Database(t), pgtest.Shared(t)
	require.NoError(t, server.Exec(t.Context(), "postgres", "ALTER DATABASE "+database+" SET synchronous_commit = off"))
	j := open(t, database)
	require.ErrorContains(t, j.Healthy(t.Context()), "synchronous_commit is off")
	require.NoError(t, j.Close())
	require.NoError(t, server.Exec(t.Context(), "postgres", "ALTER DATABASE "+database+" SET synchronous_commit = local"))
	require.NoError(t, open(t, database).Healthy(t.Context()))

	unsafe, err := pgtest.Start(t.Context(), "", "fsync=off")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unsafe.Remove()) })
	j, _ = openURL(t, unsafe.URL("postgres"))
	require.ErrorContains(t, j.Healthy(t.Context()), "fsync is off")
}

// A statement that waited for the positions has to see what was committed meanwhile, which in a database of another default isolation
// it would not: it would take a position that another node has.
func TestDefaultIsolationOfTheDatabaseDoesNotMatter(t *testing.T) {
	t.Parallel()
	for _, isolation := range []string{"repeatable read", "serializable"} {
		t.Run(isolation, func(t *testing.T) {
			t.Parallel()
			database, server := pgtest.Database(t), pgtest.Shared(t)
			require.NoError(t, server.Exec(t.Context(), "postgres",
				"ALTER DATABASE "+database+" SET default_transaction_isolation = '"+isolation+"'"))
			j := open(t, database)
			conn, err := pgx.Connect(t.Context(), server.URL(database))
			require.NoError(t, err)
			_, err = conn.Exec(t.Context(), "BEGIN; SELECT last_position(); INSERT INTO streams VALUES (1, 'theirs', '1');"+
				"INSERT INTO records VALUES (1, 1, now(), 'theirs', 'Happened', '1', '')")
			require.NoError(t, err)
			answer := make(chan journal.Result, 1)
			j.Submit(appended("ours", 0, "1"), func(r journal.Result) { answer <- r })
			require.Eventually(t, func() bool {
				return server.Exec(t.Context(), database, "SELECT 1/count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()") == nil
			}, 10*time.Second, 10*time.Millisecond)
			_, err = conn.Exec(t.Context(), "COMMIT")
			require.NoError(t, err)
			require.Equal(t, journal.Result{Version: 1, Position: 2}, <-answer)
			require.NoError(t, conn.Close(t.Context()))
		})
	}
}

// TestDemotedPrimary has a primary turn into a server that only reads, and back.
func TestDemotedPrimary(t *testing.T) {
	t.Parallel()
	database, server := pgtest.Database(t), pgtest.Shared(t)
	j := open(t, database)
	_, err := journal.Do(t.Context(), j, appended("a", 0, "1"))
	require.NoError(t, err)
	demote := func(readOnly string) {
		require.NoError(t, server.Exec(t.Context(), "postgres",
			"ALTER DATABASE "+database+" SET default_transaction_read_only = "+readOnly,
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+database+"'"))
	}
	demote("on")
	require.ErrorContains(t, j.Healthy(t.Context()), "not the primary")
	late := appended("a", 1, "2")
	late.Deadline = time.Now().Add(500 * time.Millisecond)
	_, err = journal.Do(t.Context(), j, late)
	require.True(t, errors.Is(err, journal.ErrDeadline) || errors.Is(err, journal.ErrUnknown), err) // it may have met the end of its connection
	_, err = postgres.Open(t.Context(), postgres.Options{URL: server.URL(database)})
	require.ErrorContains(t, err, "not the primary")

	demote("off")
	_, err = journal.Do(t.Context(), j, appended("a", 1, "3"))
	require.NoError(t, err)
	require.NoError(t, j.Healthy(t.Context()))
}

func TestStandbyIsRefused(t *testing.T) {
	t.Parallel()
	primary, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, primary.Remove()) })
	standby, err := primary.Standby(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Remove()) })

	_, err = postgres.Open(t.Context(), postgres.Options{URL: standby.URL("postgres")})
	require.ErrorContains(t, err, "not the primary")
	// Of several servers the one that writes is found, whatever the URL asks for.
	both := primary.TCP(standby.Addr()+","+primary.Addr(), "postgres") + "?target_session_attrs=any"
	j, _ := openURL(t, both)
	_, err = journal.Do(t.Context(), j, appended("a", 0, "1"))
	require.NoError(t, err)
	require.NoError(t, j.Healthy(t.Context()))

	// A failover: the primary is gone, and the standby takes over.
	require.Eventually(t, func() bool {
		return standby.Exec(t.Context(), "postgres", "SELECT 1/count(*) FROM records") == nil
	}, 20*time.Second, 10*time.Millisecond)
	require.NoError(t, primary.Kill())
	require.NoError(t, standby.Promote(t.Context()))
	_, err = journal.Do(t.Context(), j, appended("a", 1, "2"))
	require.NoError(t, err)
	require.NoError(t, j.Healthy(t.Context()))
}

func TestPasswordIsNeverShown(t *testing.T) {
	t.Parallel()
	const secret = "Tr0ub4dor"
	database, server := pgtest.Database(t), pgtest.Shared(t)
	var log lockedBuffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, url := range []string{
		"postgres://latchkey:" + secret + "@" + server.Addr() + "/" + database,        // the wrong password
		"postgres://latchkey:" + secret + "@127.0.0.1:1/" + database,                  // nobody there
		"postgres://latchkey:" + secret + "%@127.0.0.1/" + database,                   // malformed
		"postgres://latchkey:" + secret + "@127.0.0.1:port/" + database,               // malformed
		"postgres://latchkey:" + secret + "@127.0.0.1/" + database + "?sslmode=maybe", // malformed
		"postgresql://127.0.0.1/" + database + "?password=" + secret + "&sslrootcert=nowhere&sslmode=verify-full",
		"mysql://latchkey:" + secret + "@127.0.0.1/" + database,
	} {
		_, err := postgres.Open(t.Context(), postgres.Options{URL: url, Logger: logger})
		require.Error(t, err)
		require.NotContains(t, err.Error(), secret)
	}

	p := newProxy(t, server.Addr())
	j, err := postgres.Open(t.Context(), postgres.Options{URL: server.TCP(p.Addr().String(), database), Logger: logger})
	require.NoError(t, err)
	require.NoError(t, p.Close())
	p.cutAll()
	late := appended("a", 0, "1")
	late.Deadline = time.Now().Add(300 * time.Millisecond)
	_, err = journal.Do(t.Context(), j, late)
	require.ErrorIs(t, err, journal.ErrDeadline)
	err = j.Healthy(t.Context())
	require.Error(t, err)
	require.NotContains(t, err.Error(), pgtest.Password)
	require.NoError(t, j.Close())
	require.NotEmpty(t, log.String())
	require.NotContains(t, log.String(), pgtest.Password)
	require.NotContains(t, log.String(), secret)
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// TestNodesStartTogether has several nodes make the tables of an empty database at once.
func TestNodesStartTogether(t *testing.T) {
	t.Parallel()
	database, server := pgtest.Database(t), pgtest.Shared(t)
	errs := make(chan error, 6)
	for range cap(errs) {
		go func() {
			j, err := postgres.Open(t.Context(), postgres.Options{URL: server.URL(database)})
			if err == nil {
				err = j.Close()
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	require.NoError(t, server.Exec(t.Context(), database, "INSERT INTO latchkey_schema (version_id, is_applied) VALUES (9999, true)"))
	_, err := postgres.Open(t.Context(), postgres.Options{URL: server.URL(database)})
	require.ErrorContains(t, err, "schema 9999 is newer than this program")
}
