package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/internal/config"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
	"github.com/latchkey/latchkey/journal/sqlite"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// verified is what latchkey verify says.
func verified(t *testing.T, c verifyCommand) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c.Limit, c.LogLevel, c.LogFormat = 1, "warn", "text"
	err := c.Run(t.Context(), terminal{&out})
	return out.String(), err
}

func TestVerify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func() (string, error) { return verified(t, verifyCommand{DataDir: dir}) }
	_, err := run()
	require.ErrorContains(t, err, "there is no journal")
	require.NoFileExists(t, filepath.Join(dir, "journal.db"))

	j, err := sqlite.Open(sqlite.Options{Path: filepath.Join(dir, "journal.db")})
	require.NoError(t, err)
	keys, err := tenant.New(tenant.Options{Journal: j})
	require.NoError(t, err)
	_, _, err = keys.Create(t.Context(), lock.Caller{Super: true}, "acme", tenant.NewKey{})
	require.NoError(t, err)
	_, err = run()
	require.ErrorContains(t, err, "is in use")
	require.NoError(t, j.Close())

	said, err := run()
	require.NoError(t, err)
	require.Equal(t, "All is well: 1 records of 1 streams, 1 index rows, 0 snapshots.\n", said)

	j, err = sqlite.Open(sqlite.Options{Path: filepath.Join(dir, "journal.db")})
	require.NoError(t, err)
	for _, stream := range []string{"lock/1", "lock/2"} {
		_, err = journal.Do(t.Context(), j, journal.Append{
			Stream: stream, ID: "1", Records: []journal.NewRecord{{Type: "LockMelted", Data: []byte("{}")}},
		})
		require.NoError(t, err)
	}
	require.NoError(t, j.Close())
	said, err = run()
	require.EqualError(t, err, "2 things are wrong in 3 records of 3 streams, 1 index rows, 0 snapshots")
	require.Contains(t, said, "lock/1: version 1 cannot be read")
	require.Contains(t, said, "... and 1 more")
}

// A file alone, without its -wal, is no backup: it may have nothing of what was stored, and is no damaged journal either.
func TestVerifyOfHalfACopy(t *testing.T) {
	t.Parallel()
	dir, backup := t.TempDir(), filepath.Join(t.TempDir(), "copy.db")
	server, err := app.Start(t.Context(), app.Options{
		Config: config.Server{
			HTTPAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", ClusterAddr: "127.0.0.1:0", DataDir: dir, DrainTimeout: 15 * time.Second,
		},
		Version: "test", Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	half, err := os.ReadFile(filepath.Join(dir, "journal.db"))
	require.NoError(t, err)
	require.NotEmpty(t, half)
	require.NoError(t, os.WriteFile(backup, half, 0o600))
	require.NoError(t, server.Stop())

	_, err = verified(t, verifyCommand{JournalURL: "sqlite:" + backup})
	require.ErrorContains(t, err, "there is nothing in "+backup)
	require.ErrorContains(t, err, "copy.db-wal")
	said, err := verified(t, verifyCommand{DataDir: dir})
	require.NoError(t, err, "a server that nobody has used yet is no fault")
	require.Contains(t, said, "All is well: 1 records")
}

// A database into which nothing was restored must not look like a journal, and does not become one.
func TestVerifyOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })
	verify := verifyCommand{JournalURL: server.URL("postgres")}
	for range 2 {
		_, err = verified(t, verify)
		require.ErrorContains(t, err, "there is no journal in this database")
	}
	j, err := postgres.Open(t.Context(), postgres.Options{URL: verify.JournalURL, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, j.Close())
	said, err := verified(t, verify)
	require.NoError(t, err, "a new cluster is no fault")
	require.Contains(t, said, "There is nothing to check")
}
