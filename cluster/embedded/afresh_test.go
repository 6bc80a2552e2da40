package embedded_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster/embedded"
)

func openAfresh(ctx context.Context, dir string) (*embedded.Server, error) {
	return embedded.Start(ctx, embedded.Options{Dir: dir, Afresh: true, Logger: slog.New(slog.DiscardHandler)})
}

// What a crash of the machine, or a person, does to data that is worth nothing keeps no server from starting.
func TestDamageDoesNotMatterAfresh(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etcd")
	start := func() {
		server, err := openAfresh(t.Context(), dir)
		require.NoError(t, err)
		defer server.Close()
		client := server.Client()
		found, err := client.Get(t.Context(), "key")
		require.NoError(t, err)
		require.Empty(t, found.Kvs)
		_, err = client.Put(t.Context(), "key", "value")
		require.NoError(t, err)
		_ = client.Close() // says that its context is done
	}
	start()
	for _, name := range []string{"member/snap/db", "member/wal/0000000000000000-0000000000000000.wal"} {
		for _, content := range [][]byte{nil, bytes.Repeat([]byte("garbage"), 5000)} {
			require.FileExists(t, filepath.Join(dir, name))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
			start()
		}
	}
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "member")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "member"), nil, 0o600), "a file in place of the folder")
	start()
}

// A server in use is not pulled out from under its process.
func TestTwoServersCannotShareADirectoryAfresh(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := openAfresh(t.Context(), dir)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = openAfresh(ctx, dir)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "does another process use it")
	client := first.Client()
	_, err = client.Put(t.Context(), "key", "value")
	require.NoError(t, err)
	_ = client.Close() // says that its context is done
	first.Close()
	again, err := openAfresh(t.Context(), dir)
	require.NoError(t, err)
	again.Close()
}
