package cluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/internal/keyring"
)

// connect does what a node does first on a connection to another one, and returns the certificate of that.
func connect(t *testing.T, addr string, how credentials.TransportCredentials) (*x509.Certificate, error) {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(how))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	stream, err := remote.NewRemotingClient(conn).Receive(ctx)
	if err != nil {
		return nil, err
	}
	hello := &remote.ConnectRequest_ServerConnection{ServerConnection: &remote.ServerConnection{SystemId: "x", Address: "127.0.0.1:1"}}
	if err := stream.Send(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{
		ConnectRequest: &remote.ConnectRequest{ConnectionType: hello},
	}}); err != nil {
		_, err = stream.Recv() // Send says no more than that the stream has ended
		return nil, err
	}
	answer, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	require.NotNil(t, answer.GetConnectResponse())
	p, _ := peer.FromContext(stream.Context())
	info, secure := p.AuthInfo.(credentials.TLSInfo)
	if !secure {
		return nil, nil
	}
	return info.State.PeerCertificates[0], nil
}

// showing is a client that shows a certificate and takes whatever the server shows.
func showing(t *testing.T, files *keyring.Files, version uint16) credentials.TransportCredentials {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, MaxVersion: version} // the server is what is tested
	if files != nil {
		pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		require.NoError(t, err)
		config.Certificates = []tls.Certificate{pair}
	}
	return credentials.NewTLS(config)
}

// TestOnlyNodesAreLetIn connects to a node as everybody who is none, and as one.
func TestOnlyNodesAreLetIn(t *testing.T) {
	t.Parallel()
	ours, foreign := newAuthority(t, "ours"), newAuthority(t, "foreign")
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	n := spawn(t, "node", setup{Etcd: etcd.hello.Addr, TLS: ours.issue(node())})

	certificate := func(from *authority, change func(*x509.Certificate)) *keyring.Files {
		c := node()
		change(c)
		files := from.issue(c)
		return &files
	}
	asIs := func(*x509.Certificate) {}
	for name, stranger := range map[string]credentials.TransportCredentials{
		"plain":          insecure.NewCredentials(),
		"no certificate": showing(t, nil, 0),
		"another CA":     showing(t, certificate(foreign, asIs), 0),
		"expired": showing(t, certificate(ours, func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Minute)
		}), 0),
		"no node":      showing(t, certificate(ours, func(c *x509.Certificate) { c.DNSNames = []string{"www.latchkey.internal"} }), 0),
		"server only":  showing(t, certificate(ours, func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }), 0),
		"TLS 1.2 only": showing(t, certificate(ours, asIs), tls.VersionTLS12),
	} {
		_, err := connect(t, n.hello.Addr, stranger)
		require.Equal(t, codes.Unavailable, status.Code(err), "%s: %v", name, err)
	}
	_, err := connect(t, n.hello.Addr, showing(t, certificate(ours, asIs), 0))
	require.NoError(t, err)
	require.Empty(t, n.state().Ready)
}

// TestImpostorIsNotAsked has somebody with a certificate of another CA among the members: what it owns cannot be reached, and it
// learns nothing; the rest goes on.
func TestImpostorIsNotAsked(t *testing.T) {
	t.Parallel()
	ours, foreign := newAuthority(t, "ours"), newAuthority(t, "foreign")
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	a := spawn(t, "node", setup{Etcd: etcd.hello.Addr, TLS: ours.issue(node())})
	b := spawn(t, "node", setup{Etcd: etcd.hello.Addr, TLS: ours.issue(node())})
	a.awaitMembers(2)
	r := a.tell(order{Op: "ask", Keys: keys, Workers: 8, Timeout: patient})
	require.Zero(t, r.Failed+r.Unknown, r.Errors)
	require.Len(t, r.Owners, 2)
	b.kill()
	a.awaitMembers(1)

	impostor := spawn(t, "node", setup{Etcd: etcd.hello.Addr, TLS: foreign.issue(node())})
	a.awaitMembers(2)
	r = a.tell(order{Op: "ask", Keys: 64, Workers: 64, Timeout: time.Second})
	require.Len(t, r.Owners, 1, r.Errors)
	require.NotZero(t, r.Failed+r.Unknown)
	require.Equal(t, 64, r.Owners[a.hello.ID]+r.Failed+r.Unknown)
	require.Empty(t, impostor.state().Identities)
}

// TestCertificatesRotate replaces a node's certificate while it runs, and then the CA.
func TestCertificatesRotate(t *testing.T) {
	t.Parallel()
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	files := first.issue(node())
	n := spawn(t, "node", setup{Etcd: etcd.hello.Addr, TLS: files})
	firstClient, secondClient := first.issue(node()), second.issue(node())

	before, err := connect(t, n.hello.Addr, showing(t, &firstClient, 0))
	require.NoError(t, err)
	require.EqualValues(t, before.NotAfter.Unix(), n.state().Expiry)
	renewed := node()
	renewed.NotAfter = renewed.NotAfter.Add(time.Minute)
	first.issueTo(files, renewed)
	after, err := connect(t, n.hello.Addr, showing(t, &firstClient, 0))
	require.NoError(t, err)
	require.NotEqual(t, before.SerialNumber, after.SerialNumber)
	require.EqualValues(t, after.NotAfter.Unix(), n.state().Expiry)
	require.True(t, after.NotAfter.After(before.NotAfter))

	good, err := os.ReadFile(files.Key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files.Key, good[:len(good)/2], 0o600))
	still, err := connect(t, n.hello.Addr, showing(t, &firstClient, 0))
	require.NoError(t, err, "half a file is no reason to refuse the other nodes")
	require.Equal(t, after.SerialNumber, still.SerialNumber)

	_, err = connect(t, n.hello.Addr, showing(t, &secondClient, 0))
	require.Error(t, err)
	second.issueTo(files, node())
	_, err = connect(t, n.hello.Addr, showing(t, &secondClient, 0))
	require.NoError(t, err)
	_, err = connect(t, n.hello.Addr, showing(t, &firstClient, 0))
	require.Error(t, err, "the CA is not trusted any more")
}

// TestUselessCertificates refuses to start with what the other nodes would not accept.
func TestUselessCertificates(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "ours")
	change := func(change func(*x509.Certificate)) keyring.Files {
		c := node()
		change(c)
		return ours.issue(c)
	}
	good := ours.issue(node())
	for says, files := range map[string]keyring.Files{
		"has expired":                          change(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"not node.latchkey.internal":           change(func(c *x509.Certificate) { c.DNSNames = []string{"a.example"} }),
		"for server and client authentication": change(func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }),
		"unknown authority":                    {CA: newAuthority(t, "other").issue(node()).CA, Cert: good.Cert, Key: good.Key},
		"no such file":                         {CA: good.CA, Cert: good.Cert, Key: "nowhere.pem"},
		"no certificate in PEM":                {CA: good.Key, Cert: good.Cert, Key: good.Key},
		"private key does not match":           {CA: good.CA, Cert: good.Cert, Key: ours.issue(node()).Key},
		"needs a CA, a certificate":            {Cert: good.Cert, Key: good.Key},
	} {
		_, err := cluster.Start(t.Context(), cluster.Options{EtcdDir: t.TempDir(), TLS: files})
		require.ErrorContains(t, err, says)
	}
}
