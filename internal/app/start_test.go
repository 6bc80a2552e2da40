package app_test

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

// TestStartWaitsForPostgreSQL starts a server before its database.
func TestStartWaitsForPostgreSQL(t *testing.T) {
	t.Parallel()
	database, err := pgtest.Start(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, database.Remove()) })
	require.NoError(t, database.CreateDatabase(t.Context(), "latchkey"))
	require.NoError(t, database.Stop())

	o := options(t)
	o.Config.JournalURL, o.Config.StartTimeout = database.URL("latchkey"), patience
	said, log := io.Pipe()
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	started := make(chan error, 1)
	var a *app.App
	go func() {
		var err error
		a, err = app.Start(t.Context(), o)
		started <- err
	}()
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.Contains(lines.Text(), "waiting for PostgreSQL") {
	}
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, said) }()
	t.Cleanup(func() { require.NoError(t, log.Close()); <-drained })

	require.NoError(t, database.Up(t.Context()))
	require.NoError(t, receive(t, started, "start"))
	require.Equal(t, http.StatusOK, status(t, a.OpsURL()+"/readyz"))
	require.NoError(t, a.Stop())
}

// TestStartGivesUp says what did not answer when the time is over.
func TestStartGivesUp(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, nobody.Close())
	addr := nobody.Addr().String()

	o := options(t)
	o.Config.StartTimeout = 100 * time.Millisecond
	o.Config.JournalURL = "postgres://latchkey:hunter2@" + addr + "/latchkey"
	_, err = app.Start(t.Context(), o)
	require.ErrorContains(t, err, addr)
	require.ErrorContains(t, err, "connection refused")
	require.NotContains(t, err.Error(), "hunter2")
}

// TestDrainDelay lets clients leave before their connections are closed.
func TestDrainDelay(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Config.DrainDelay = 3 * time.Second
	a, err := app.Start(t.Context(), o)
	require.NoError(t, err)
	url, ops := a.URL(), a.OpsURL()
	client := &http.Client{Transport: &http.Transport{}}
	answered := func() *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/openapi.json", nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
		return response
	}
	require.False(t, answered().Close)

	begin := time.Now()
	stopped := make(chan error, 1)
	go func() { stopped <- a.Stop() }()
	require.Eventually(t, func() bool { return status(t, ops+"/readyz") == http.StatusServiceUnavailable }, patience, time.Millisecond)
	require.True(t, answered().Close, "the connection is not used again")
	require.NoError(t, receive(t, stopped, "stop"))
	require.GreaterOrEqual(t, time.Since(begin), o.Config.DrainDelay)
}
