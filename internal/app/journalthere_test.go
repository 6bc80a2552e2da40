package app_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

// A server that is given a PostgreSQL knows nothing of what it had in its file, and says so while there is nothing else either.
func TestJournalThatWasNotMoved(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })
	o := options(t)
	path := filepath.Join(o.Config.DataDir, "journal.db")
	for _, step := range []struct {
		url   string
		warns bool
	}{{"", false}, {server.URL("postgres"), true}, {server.URL("postgres"), false}} {
		var log bytes.Buffer
		o.Config.JournalURL, o.Logger = step.url, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		a, err := app.Start(t.Context(), o)
		require.NoError(t, err)
		require.NoError(t, a.Stop())
		require.Equal(t, step.warns, strings.Contains(log.String(), "file="+path), log.String())
	}
}

// A server that has run before and whose journal is gone or empty does not start as if it were new, until it is told to.
func TestJournalThatWentAway(t *testing.T) {
	t.Parallel()
	o := options(t)
	path := filepath.Join(o.Config.DataDir, "journal.db")
	var half []byte // the file while its -wal has what was stored
	start := func() error {
		a, err := app.Start(t.Context(), o)
		if err != nil {
			return err
		}
		half, err = os.ReadFile(path)
		return errors.Join(err, a.Stop())
	}
	require.NoError(t, start())
	require.NotEmpty(t, half)
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, takeAway := range []func() error{
		func() error { return os.Remove(path) },
		func() error { return os.WriteFile(path, nil, 0o600) },
		func() error { return os.WriteFile(path, half, 0o600) },
	} {
		require.NoError(t, takeAway())
		err := start()
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "missing or empty")
		require.ErrorContains(t, err, "from a backup")
		require.ErrorContains(t, err, "--data-dir")
	}
	require.NoError(t, os.WriteFile(path, kept, 0o600))
	require.NoError(t, start())
	require.NoError(t, os.RemoveAll(o.Config.DataDir))
	require.NoError(t, start(), "an empty folder is the way to start anew")
}
