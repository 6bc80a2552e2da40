package cluster_test

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/internal/keyring"
)

// documented runs the commands of docs/operations.md that make a certificate for all nodes.
func documented(t *testing.T) keyring.Files {
	t.Helper()
	page, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	commands := regexp.MustCompile("(?s)```sh\n(openssl req -x509 .*?)```").FindSubmatch(page)
	require.NotNil(t, commands)
	sh := exec.Command("sh", "-e", "-c", string(commands[1]))
	sh.Dir = t.TempDir()
	out, err := sh.CombinedOutput()
	require.NoError(t, err, string(out))
	file := func(name string) string { return filepath.Join(sh.Dir, name) }
	return keyring.Files{CA: file("cluster-ca.pem"), Cert: file("cluster.pem"), Key: file("cluster-key.pem")}
}

// TestNodesWithTheDocumentedCertificate has three nodes share the certificate that the documentation makes, which bears no address.
func TestNodesWithTheDocumentedCertificate(t *testing.T) {
	t.Parallel()
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	member := setup{Etcd: etcd.hello.Addr, TLS: documented(t)}
	nodes := []*process{spawn(t, "node", member), spawn(t, "node", member), spawn(t, "node", member)}
	for _, n := range nodes {
		n.awaitMembers(3)
	}
	for _, n := range nodes {
		r := n.tell(order{Op: "ask", Keys: 64, Workers: 64, Timeout: patient})
		require.Zero(t, r.Failed+r.Unknown, r.Errors)
		require.Len(t, r.Owners, 3)
	}
}

// TestOnlyTheNameMakesANode has a member that is at the address in its certificate. A node talks to it when it bears the nodes' name, and
// breaks the handshake off when it does not, although the CA is the right one.
func TestOnlyTheNameMakesANode(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "ours")
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	n := spawn(t, "node", setup{Etcd: etcd.hello.Addr, TLS: ours.issue(node())})
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd.hello.Addr}, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })

	for name, says := range map[string]string{cluster.DefaultNodeName: "", "www.latchkey.internal": "bad certificate"} {
		files := ours.issue(here(name))
		pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		require.NoError(t, err)
		listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
			Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2"},
		})
		require.NoError(t, err)
		value, err := json.Marshal(cluster.Member{ID: name, Addr: listener.Addr().String(), Kinds: []string{"grain"}})
		require.NoError(t, err)
		_, err = client.Put(t.Context(), "/latchkey/latchkey/members/"+name, string(value))
		require.NoError(t, err)
		n.awaitMembers(2)

		met := make(chan error, 1)
		go func() { met <- meet(listener) }()
		n.tell(order{Op: "ask", Keys: 64, Workers: 64, Timeout: time.Second}) // some of it is the other member's
		err = <-met
		if says == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, says, name)
		}
		require.NoError(t, listener.Close())
		_, err = client.Delete(t.Context(), "/latchkey/latchkey/members/"+name)
		require.NoError(t, err)
		n.awaitMembers(1)
	}
}

// meet shakes hands with the first who connects, and says how that ended.
func meet(l net.Listener) error {
	late := time.AfterFunc(patient, func() { _ = l.Close() })
	defer late.Stop()
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patient)); err != nil {
		return err
	}
	return conn.(*tls.Conn).Handshake()
}
