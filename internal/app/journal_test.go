package app_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
	"github.com/latchkey/latchkey/sim"
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

// TestStopWhilePostgreSQLHangs stops a server whose PostgreSQL takes what it is sent and says nothing, not even to a question that
// was taken back. Its driver waits 15 s for that.
func TestStopWhilePostgreSQLHangs(t *testing.T) {
	t.Parallel()
	server, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Remove()) })
	require.NoError(t, server.CreateDatabase(t.Context(), "latchkey"))
	proxy, err := sim.NewProxy(server.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })

	o := options(t)
	o.Config.JournalURL, o.Config.DrainTimeout = server.TCP(proxy.Addr(), "latchkey"), 4*time.Second
	a, err := app.Start(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status(t, a.OpsURL()+"/readyz"))
	proxy.Freeze(sim.Both)
	require.Equal(t, http.StatusServiceUnavailable, status(t, a.OpsURL()+"/readyz"))

	begin := time.Now()
	require.NoError(t, a.Stop())
	require.Less(t, time.Since(begin), o.Config.DrainTimeout)
}
