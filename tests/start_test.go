package tests

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// What a wrong flag or file stops is stopped before the other members hear of the server.
func TestWrongFlagsDoNotDisturbTheCluster(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd.addr}, DialTimeout: patience})
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	revision := func() int64 {
		all, err := client.Get(t.Context(), "", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		return all.Header.Revision
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o600))

	dir, before := filepath.Join(t.TempDir(), "data"), revision()
	for says, flags := range map[string][]string{
		"--http-addr":                {"--http-addr", taken.Addr().String()},
		"--tls-cert":                 {"--tls-cert", broken, "--tls-key", broken},
		"--jwt-hs256-secret-file":    {"--jwt-hs256-secret-file", filepath.Join(broken, "none")},
		"HS256 secret must have":     {"--jwt-hs256-secret-file", broken},
		"api: JWKS":                  {"--jwt-jwks", broken},
		"super key has 1 characters": {"--super-key-file", broken},
	} {
		p := launch(t, append([]string{
			"serve", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--etcd-endpoints", "http://" + etcd.addr,
		}, flags...)...)
		require.Equal(t, 1, p.exit(t), says)
		require.Contains(t, p.stderr(), says)
	}
	require.Equal(t, before, revision(), "nobody wrote to etcd")

	startServer(t, dir, "--etcd-endpoints", "http://"+etcd.addr)
	require.Greater(t, revision(), before)
}

// A server that was not told of the shared journal does not run the locks of those that share it: it would know none of them.
func TestServerWithAnotherJournalDoesNotJoin(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	startServer(t, filepath.Join(t.TempDir(), "data"), "--etcd-endpoints", "http://"+etcd.addr)
	p := launch(t, "serve", "--data-dir", filepath.Join(t.TempDir(), "data"), "--http-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0",
		"--etcd-endpoints", "http://"+etcd.addr)
	require.Equal(t, 1, p.exit(t))
	require.Contains(t, p.stderr(), "servers that share an etcd share a journal too")
}

// While a server waits for its cluster, clients are told to come back, and not left without an answer.
func TestServerThatStartsSaysSo(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // in place of an etcd
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, silent.Close()) })
	addr := quietAddr(t)
	p := launch(t, "serve", "--data-dir", filepath.Join(t.TempDir(), "data"), "--http-addr", addr, "--ops-addr", "127.0.0.1:0",
		"--etcd-endpoints", "http://"+silent.Addr().String(), "--start-timeout", "5s")
	require.Eventually(t, func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		require.NoError(t, conn.Close())
		return true
	}, patience, pollEvery)
	response, _ := fetch(t, http.MethodGet, "http://"+addr+"/openapi.json", nil)
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	all, err := documents()
	require.NoError(t, err)
	require.NotNil(t, all[0].doc.Components.Responses["Failed"].Value.Content.Get(response.Header.Get("Content-Type")), "the document has this form")
	require.Equal(t, 1, p.exit(t))
	_, err = net.Dial("tcp", addr)
	require.Error(t, err, "nobody listens any more")
}
