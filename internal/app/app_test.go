package app_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/internal/abreast"
	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/internal/config"
)

const patience = time.Minute

func TestMain(m *testing.M) {
	abreast.Tests()
	goleak.VerifyTestMain(m)
}

func options(t *testing.T) app.Options {
	t.Helper()
	return app.Options{
		Config: config.Server{
			HTTPAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", ClusterAddr: "127.0.0.1:0",
			DataDir: filepath.Join(t.TempDir(), "data"), DrainTimeout: 15 * time.Second,
		},
		Version: "test", Logger: slog.New(slog.DiscardHandler),
	}
}

// status makes one request on a connection of its own.
func status(t *testing.T, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

func TestStartServeStop(t *testing.T) {
	t.Parallel()
	o := options(t)
	for range 2 { // the second time on the data of the first
		a, err := app.Start(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status(t, a.OpsURL()+"/readyz"))
		require.Equal(t, http.StatusOK, status(t, a.URL()+"/openapi.json"))
		require.Equal(t, http.StatusUpgradeRequired, status(t, a.URL()+"/devices/6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b/connect"))
		require.NoError(t, a.Stop())
		require.NoError(t, a.Stop(), "a second stop does nothing")
	}
}

// A start that fails half-way leaves nothing behind: goleak looks at the end, and the journal can be opened again.
func TestStartFailsHalfway(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o := options(t)
	o.Config.HTTPAddr = taken.Addr().String()
	_, err = app.Start(t.Context(), o)
	require.ErrorContains(t, err, "--http-addr")
	require.ErrorContains(t, err, "address already in use")

	require.NoError(t, taken.Close())
	a, err := app.Start(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, a.Stop())
}

// run runs the app beside the test; every start is handed over.
func run(ctx context.Context, o app.Options) (started chan *app.App, ended chan error) {
	started, ended = make(chan *app.App), make(chan error, 1)
	o.Started = func(a *app.App) { started <- a }
	go func() { ended <- app.Run(ctx, o) }()
	return started, ended
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		require.Fail(t, "waited too long", what)
		panic("unreachable")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	started, ended := run(ctx, options(t))
	receive(t, started, "start")
	cancel()
	require.NoError(t, receive(t, ended, "the end"))
}
