package cluster_test

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/internal/keyring"
)

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]cluster.Options{
		"no etcd":              {},
		"address":              {EtcdDir: "x", Addr: "nowhere"},
		"everywhere":           {EtcdDir: "x", Addr: "0.0.0.0:1"},
		"advertised":           {EtcdDir: "x", AdvertiseAddr: "nowhere"},
		"lease":                {EtcdDir: "x", LeaseTTL: 1500 * time.Millisecond},
		"short lease":          {EtcdDir: "x", LeaseTTL: time.Millisecond},
		"kind without props":   {EtcdDir: "x", Kinds: map[string]*actor.Props{"lock": nil}},
		"kind with a slash":    {EtcdDir: "x", Kinds: map[string]*actor.Props{"a/b": echoProps()}},
		"mailbox":              {EtcdDir: "x", MailboxSize: -1},
		"half of a key pair":   {EtcdEndpoints: []string{"https://127.0.0.1:1"}, EtcdTLS: keyring.Files{Cert: "x"}},
		"no password":          {EtcdEndpoints: []string{"http://127.0.0.1:1"}, EtcdUser: "x"},
		"half of TLS":          {EtcdDir: "x", TLS: keyring.Files{CA: "x"}},
		"negative time-out":    {EtcdDir: "x", RequestTimeout: -1},
		"port that is no port": {EtcdEndpoints: []string{"127.0.0.1:1"}, Addr: "127.0.0.1:http"},
	} {
		_, err := cluster.Start(t.Context(), o)
		require.Error(t, err, name)
	}
}
