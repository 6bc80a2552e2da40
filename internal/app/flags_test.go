package app_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/latchkey/latchkey/cluster/embedded"
	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/internal/config"
)

// A node that cannot serve because a flag or a file is wrong says so before it joins: the others never hear of it.
func TestWrongFlagsDoNotDisturbTheCluster(t *testing.T) {
	t.Parallel()
	o := options(t)
	etcd, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), ClientAddr: "127.0.0.1:0", Logger: o.Logger})
	require.NoError(t, err)
	t.Cleanup(etcd.Close)
	o.Config.EtcdEndpoints = []string{"http://" + etcd.Endpoint()}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(broken, []byte("{"), 0o600))

	revision := func() int64 {
		client := etcd.Client()
		defer func() { _ = client.Close() }()
		all, err := client.Get(t.Context(), "", clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		return all.Header.Revision
	}
	before := revision()
	for says, change := range map[string]func(*config.Server){
		"--http-addr":                func(c *config.Server) { c.HTTPAddr = taken.Addr().String() },
		"--tls-cert":                 func(c *config.Server) { c.TLSCert, c.TLSKey = broken, broken },
		"--jwt-hs256-secret-file":    func(c *config.Server) { c.JWTHS256SecretFile = filepath.Join(broken, "none") },
		"HS256 secret must have":     func(c *config.Server) { c.JWTHS256SecretFile = broken },
		"api: JWKS":                  func(c *config.Server) { c.JWTJWKS = broken },
		"super key has 1 characters": func(c *config.Server) { c.SuperKeyFile = broken },
	} {
		wrong := o
		change(&wrong.Config)
		_, err := app.Start(t.Context(), wrong)
		require.ErrorContains(t, err, says)
	}
	require.Equal(t, before, revision(), "nobody wrote to etcd")

	a, err := app.Start(t.Context(), o)
	require.NoError(t, err)
	require.Greater(t, revision(), before)
	require.NoError(t, a.Stop())
}

// While a server waits for its cluster, clients are told to come back, and not left without an answer.
func TestServerThatStartsSaysSo(t *testing.T) {
	t.Parallel()
	o := options(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // in place of an etcd
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, silent.Close()) })
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o.Config.HTTPAddr = free.Addr().String()
	require.NoError(t, free.Close())
	o.Config.EtcdEndpoints, o.Config.StartTimeout = []string{"http://" + silent.Addr().String()}, 3*time.Second
	ended := make(chan error, 1)
	go func() {
		_, err := app.Start(t.Context(), o)
		ended <- err
	}()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", o.Config.HTTPAddr)
		if err != nil {
			return false
		}
		require.NoError(t, conn.Close())
		return true
	}, patience, time.Millisecond)
	require.Equal(t, 503, status(t, "http://"+o.Config.HTTPAddr+"/openapi.json"))
	require.Error(t, receive(t, ended, "the end of the start"))
	_, err = net.Dial("tcp", o.Config.HTTPAddr)
	require.Error(t, err, "nobody listens any more")
}
