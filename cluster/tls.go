package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	grpccredentials "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/latchkey/latchkey/internal/keyring"
)

// DefaultNodeName is the name that the certificate of every node bears. Nodes are equals, so they share one identity, whatever
// their addresses are today. Certificates for names under .internal are not to be had from public authorities.
const DefaultNodeName = "node.latchkey.internal"

// strangerTimeout is how long somebody may take to show a certificate.
const strangerTimeout = 5 * time.Second

// rotating are credentials of gRPC that are made anew for each connection, from what is in the files then.
type rotating struct {
	client func() *tls.Config
	server func() *tls.Config // nil for one that only calls others

	strangers *strangers // of the server
}

var _ grpccredentials.TransportCredentials = rotating{}

// ClientHandshake connects to a server.
func (r rotating) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, grpccredentials.AuthInfo, error) {
	return grpccredentials.NewTLS(r.client()).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake lets a client in.
func (r rotating) ServerHandshake(conn net.Conn) (net.Conn, grpccredentials.AuthInfo, error) {
	if r.server == nil {
		return nil, nil, errors.New("cluster: these credentials are for a client")
	}
	defer r.strangers.enter(conn)()
	return grpccredentials.NewTLS(r.server()).ServerHandshake(conn)
}

// Info says what kind of credentials these are.
func (r rotating) Info() grpccredentials.ProtocolInfo {
	return grpccredentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone returns the same: strangers are counted together.
func (r rotating) Clone() grpccredentials.TransportCredentials { return r }

// OverrideServerName is refused: nobody asks for it but old programs.
func (r rotating) OverrideServerName(string) error {
	return errors.New("cluster: the name of a server is not to be overridden")
}

// openNodeKeys returns nil for connections that are to be plain. It fails when the other nodes would not accept the certificate.
func openNodeKeys(o Options) (*keyring.Keyring, error) {
	if !o.TLS.Given() {
		return nil, nil
	}
	keys, err := keyring.Open(o.TLS, func(c keyring.Credentials) error { return fits(c, o.NodeName) }, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("cluster: certificate of this node: %w", err)
	}
	o.Logger.Info("other nodes are asked for certificates", slog.String("name", o.NodeName),
		slog.Time("own_expires", keys.Current().Expires()))
	return keys, nil
}

// fits tells whether peers will accept the certificate: one of the CA, for both ends of a connection, that bears the name.
func fits(c keyring.Credentials, name string) error {
	between := x509.NewCertPool()
	for _, der := range c.Cert.Certificate[1:] {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		between.AddCert(cert)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := c.Cert.Leaf.Verify(x509.VerifyOptions{
			DNSName: name, Roots: c.CA, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage},
		})
		if usageErr := (x509.CertificateInvalidError{}); errors.As(err, &usageErr) && usageErr.Reason == x509.IncompatibleUsage {
			return fmt.Errorf("%w: a node's certificate is for server and client authentication", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// nodeCredentials make the two ends of a connection between nodes prove to each other that they are nodes: by a certificate
// of the CA that bears the name. Both ends verify. They speak TLS 1.3 only, and resume no session, so that each connection
// is proved by what is in the files then. The name that a client asks for is the authority of its connection.
func nodeCredentials(keys *keyring.Keyring, name string) rotating {
	return rotating{
		strangers: new(strangers),
		client: func() *tls.Config {
			c := keys.Current()
			return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: c.CA, Certificates: []tls.Certificate{*c.Cert}}
		},
		server: func() *tls.Config {
			c := keys.Current()
			return &tls.Config{
				MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
				Certificates: []tls.Certificate{*c.Cert}, ClientCAs: c.CA, ClientAuth: tls.RequireAndVerifyClientCert,
				VerifyConnection: func(state tls.ConnectionState) error { return state.PeerCertificates[0].VerifyHostname(name) },
			}
		},
	}
}

// nodeSecurity returns the options for both ends of the connections between nodes; without keys they are plain. gRPC asks a server
// for the authority of the connection, whatever name the credentials have, and that is the address unless it is said to be the name.
func nodeSecurity(keys *keyring.Keyring, name string) ([]grpc.ServerOption, []grpc.DialOption) {
	if keys == nil {
		return nil, []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	c := nodeCredentials(keys, name)
	return []grpc.ServerOption{grpc.Creds(c)}, []grpc.DialOption{grpc.WithTransportCredentials(c), grpc.WithAuthority(name)}
}

// etcdCredentials are for an etcd that bears the name of its address, by a certificate of the CA, and that may ask for one
// of ours.
func etcdCredentials(keys *keyring.Keyring) rotating {
	return rotating{client: func() *tls.Config {
		c := keys.Current()
		config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.CA} // which versions an etcd has is its operator's decision
		if c.Cert != nil {
			config.Certificates = []tls.Certificate{*c.Cert}
		}
		return config
	}}
}
