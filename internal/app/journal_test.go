package app_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

// TestSharedJournal serves from PostgreSQL, and says so when that is away.
func TestSharedJournal(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })
	require.NoError(t, server.CreateDatabase(t.Context(), "latchkey"))

	o := options(t)
	o.Config.JournalURL = server.URL("latchkey")
	a, err := app.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Stop()) })
	ready := func(want int) {
		t.Helper()
		require.Eventually(t, func() bool { return status(t, a.OpsURL()+"/readyz") == want }, patience, 50*time.Millisecond)
	}
	ready(http.StatusOK)
	require.NoFileExists(t, filepath.Join(o.Config.DataDir, "journal.db"))
	require.NoError(t, server.Stop())
	ready(http.StatusServiceUnavailable)
	require.NoError(t, server.Up(t.Context()))
	ready(http.StatusOK)
}
