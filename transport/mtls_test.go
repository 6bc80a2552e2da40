package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

// authority signs the certificates of devices.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{cert: &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}}
	a.key = sign(t, a.cert, a.cert, nil).PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// sign makes a certificate with a key of its own; without a signer it signs itself and becomes complete.
func sign(t *testing.T, cert, parent *x509.Certificate, signer *ecdsa.PrivateKey) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	if signer == nil {
		signer = key
	}
	cert.SerialNumber, cert.NotBefore, cert.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	require.NoError(t, err)
	done, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	*cert = *done
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestCertificatesOfDevices(t *testing.T) {
	t.Parallel()
	ours, foreign := newAuthority(t), newAuthority(t)
	b := newBench(t, transport.Options{})
	server := httptest.NewUnstartedServer(b.server.Config.Handler)
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)

	named := func(commonName string, uris ...string) *x509.Certificate {
		c := &x509.Certificate{Subject: pkix.Name{CommonName: commonName}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		for _, u := range uris {
			parsed, err := url.Parse(u)
			require.NoError(t, err)
			c.URIs = append(c.URIs, parsed)
		}
		return c
	}
	type attempt struct {
		name   string
		cert   *x509.Certificate
		by     *authority
		header http.Header
		status int // 0: the TLS layer refuses
	}
	connect := func(c attempt) {
		config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		config.NextProtos = nil
		if c.cert != nil {
			config.Certificates = []tls.Certificate{sign(t, c.cert, c.by.cert, c.by.key)}
			if c.by == foreign { // shown although the server does not ask for that authority
				shown := config.Certificates[0]
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
			}
		}
		dialer := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, TLSClientConfig: config, HandshakeTimeout: patient}
		ws, resp, err := dialer.Dial("wss"+server.URL[len("https"):]+"/devices/"+string(device)+"/connect", c.header)
		if c.status == 0 {
			require.Error(t, err, c.name)
			require.Nil(t, resp, c.name)
			return
		}
		require.NotNil(t, resp, "%s: %v", c.name, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.status, resp.StatusCode, c.name)
		if err == nil {
			device := &client{t: t, ws: ws}
			device.call("h1", wire.ActionHello, &wire.Hello{BootID: "b7", Mono: 1})
			require.Equal(t, wire.Result, device.read().Kind, c.name)
			require.NoError(t, ws.Close())
		}
	}
	for _, c := range []attempt{
		{"common name", named(string(device)), ours, nil, http.StatusSwitchingProtocols},
		{"URI", named("front door", "urn:uuid:"+string(device)), ours, nil, http.StatusSwitchingProtocols},
		{"URI in upper case", named("", "URN:UUID:6F2C1F0E-8B7A-4D4E-9A55-0C1D2E3F4A5B"), ours, nil, http.StatusSwitchingProtocols},
		{"another device", named(string(other)), ours, nil, http.StatusUnauthorized},
		{"no UUID in it", named("front door", "urn:isbn:1", "spiffe://x/y"), ours, nil, http.StatusUnauthorized},
		{"no UUID in it, but a secret", named("front door"), ours, credentials(device, secret), http.StatusSwitchingProtocols},
		{"foreign authority", named(string(device)), foreign, nil, 0},
		{"none", nil, nil, nil, http.StatusUnauthorized},
	} {
		connect(c)
	}
	b.withdraw() // the lock has got another device
	connect(attempt{"of a device that was replaced", named(string(device)), ours, nil, http.StatusUnauthorized})
}
