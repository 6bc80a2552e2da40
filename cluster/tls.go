package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	grpccredentials "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// DefaultNodeName is the name that the certificate of every node bears. Nodes are equals, so they share one identity, whatever
// their addresses are today. Certificates for names under .internal are not to be had from public authorities.
const DefaultNodeName = "node.latchkey.internal"

// strangerTimeout is how long somebody may take to show a certificate.
const strangerTimeout = 5 * time.Second

// nodeCredentials make the two ends of a connection between nodes prove to each other that they are nodes: by a certificate
// of the CA that bears the name. Both ends verify. They speak TLS 1.3 only, and resume no session: each connection is proved
// by what is in the files then.
type nodeCredentials struct {
	keys *keyring
	name string
}

var _ grpccredentials.TransportCredentials = (*nodeCredentials)(nil)

// newNodeCredentials returns nil for connections that are to be plain. It fails when the other nodes would not accept the certificate.
func newNodeCredentials(o Options) (*nodeCredentials, error) {
	if !o.TLS.given() {
		return nil, nil
	}
	check := func(c credentials) error { return c.fits(o.NodeName) }
	keys, err := openKeyring(o.TLS, check, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("cluster: certificate of this node: %w", err)
	}
	o.Logger.Info("connections between nodes are authenticated", slog.String("name", o.NodeName),
		slog.Time("certificate_expires", keys.now.expires()))
	return &nodeCredentials{keys: keys, name: o.NodeName}, nil
}

// ClientHandshake connects to another node.
func (n *nodeCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, grpccredentials.AuthInfo, error) {
	c := n.keys.current()
	return grpccredentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: n.name, RootCAs: c.ca, Certificates: []tls.Certificate{*c.cert},
	}).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake lets another node in.
func (n *nodeCredentials) ServerHandshake(conn net.Conn) (net.Conn, grpccredentials.AuthInfo, error) {
	c := n.keys.current()
	return grpccredentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
		Certificates: []tls.Certificate{*c.cert}, ClientCAs: c.ca, ClientAuth: tls.RequireAndVerifyClientCert,
		VerifyConnection: func(state tls.ConnectionState) error { return state.PeerCertificates[0].VerifyHostname(n.name) },
	}).ServerHandshake(conn)
}

// Info says what kind of credentials these are.
func (n *nodeCredentials) Info() grpccredentials.ProtocolInfo {
	return grpccredentials.ProtocolInfo{SecurityProtocol: "tls", ServerName: n.name}
}

// Clone returns the same, which has nothing that changes.
func (n *nodeCredentials) Clone() grpccredentials.TransportCredentials { return n }

// OverrideServerName is refused: the name is what nodes are known by.
func (n *nodeCredentials) OverrideServerName(string) error {
	return errors.New("cluster: the name of a node is not to be overridden")
}

// security returns the options for both ends of the connections between nodes. They are plain without credentials.
func (n *nodeCredentials) security() ([]grpc.ServerOption, []grpc.DialOption) {
	if n == nil {
		return nil, []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	return []grpc.ServerOption{grpc.Creds(n)}, []grpc.DialOption{grpc.WithTransportCredentials(n)}
}
