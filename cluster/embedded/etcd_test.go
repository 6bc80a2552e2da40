package embedded_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/cluster/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(ctx context.Context, dir string) (*embedded.Server, error) {
	return embedded.Start(ctx, embedded.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
}

func TestDataOutlivesTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 3 {
		server, err := open(t.Context(), dir)
		require.NoError(t, err)
		require.Empty(t, server.Endpoint(), "nobody else can call it")
		client := server.Client()
		found, err := client.Get(t.Context(), "key")
		require.NoError(t, err)
		require.Len(t, found.Kvs, min(i, 1))
		_, err = client.Put(t.Context(), "key", "value")
		require.NoError(t, err)
		_ = client.Close() // says that its context is done
		server.Close()
	}
}

func TestTwoServersCannotShareADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := open(t.Context(), dir)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = open(ctx, dir)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "does another process use it")
	first.Close()
	again, err := open(t.Context(), dir)
	require.NoError(t, err)
	again.Close()
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := embedded.Start(t.Context(), embedded.Options{Logger: slog.New(slog.DiscardHandler)})
	require.Error(t, err)
	_, err = embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()})
	require.Error(t, err)
	_, err = open(t.Context(), "/dev/null/nowhere")
	require.Error(t, err)
}

// A node of its own runs on small machines too: its list of members must not take a hundred megabytes.
func TestNeedsLittleDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, err := open(t.Context(), dir)
	require.NoError(t, err)
	defer server.Close()
	logs, err := filepath.Glob(filepath.Join(dir, "member", "wal", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	for _, name := range logs {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.LessOrEqual(t, info.Size(), int64(4<<20), name)
	}
}
