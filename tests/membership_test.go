package tests

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/latchkey/latchkey/cluster/embedded"
)

// A node that lost its membership comes back as somebody else, in the same process and on the same addresses, and its
// locks open again.
func TestLostMembershipStartsOver(t *testing.T) {
	t.Parallel()
	etcd, err := embedded.Start(t.Context(), embedded.Options{
		Dir: t.TempDir(), ClientAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(etcd.Close)
	client := etcd.Client()
	t.Cleanup(func() { client.Close() })
	members := func() map[string]clientv3.LeaseID {
		found, err := client.Get(t.Context(), "/latchkey/", clientv3.WithPrefix())
		require.NoError(t, err)
		leases := make(map[string]clientv3.LeaseID)
		for _, kv := range found.Kvs {
			leases[string(kv.Key)] = clientv3.LeaseID(kv.Lease)
		}
		return leases
	}

	d := startDemo(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "--etcd-endpoints", "http://"+etcd.Endpoint())
	before := members()
	require.Len(t, before, 1)
	for _, lease := range before {
		_, err := client.Revoke(t.Context(), lease)
		require.NoError(t, err)
	}
	serving := regexp.MustCompile(`(?m)msg=serving http=(\S+)`)
	d.waitFor(t, "the node serves again", func(_, stderr string) bool { return len(serving.FindAllString(stderr, -1)) == 2 })
	require.Contains(t, d.stderr(), "starting over with a new identity")
	for _, m := range serving.FindAllStringSubmatch(d.stderr(), -1) {
		require.Equal(t, "http://"+d.addr(), m[1])
	}
	after := members()
	require.Len(t, after, 1)
	for name := range after {
		require.NotContains(t, before, name)
	}

	require.Eventually(t, func() bool { // the locks come back, each after the pause that it was told
		response, body := fetch(t, http.MethodGet, d.ops+"/metrics", nil)
		return response.StatusCode == http.StatusOK && strings.Contains(body, "\nlatchkey_transport_sessions 3\n") &&
			strings.Contains(body, "\nlatchkey_app_started_over_total 1\n")
	}, patience, pollEvery)
	openByLink(t, d.links[0])
	d.waitFor(t, "the door opened", func(stdout, _ string) bool { return opened(stdout, "Front-door") == 1 })
	d.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, d.exit(t))
}
