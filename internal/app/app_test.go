package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/internal/config"
)

const patience = time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func options(t *testing.T) app.Options {
	t.Helper()
	return app.Options{
		Config: config.Server{
			HTTPAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", ClusterAddr: "127.0.0.1:0",
			DataDir: filepath.Join(t.TempDir(), "data"), DrainTimeout: 15 * time.Second,
		},
		Version: "test", Logger: slog.New(slog.DiscardHandler),
	}
}

// status makes one request on a connection of its own.
func status(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	request.Close = true
	response, err := client.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

func TestStartServeStop(t *testing.T) {
	t.Parallel()
	o := options(t)
	for range 2 { // the second time on the data of the first
		a, err := app.Start(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status(t, http.DefaultClient, a.OpsURL()+"/readyz"))
		require.Equal(t, http.StatusOK, status(t, http.DefaultClient, a.URL()+"/openapi.json"))
		require.Equal(t, http.StatusUpgradeRequired, status(t, http.DefaultClient, a.URL()+"/devices/6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b/connect"))
		require.NoError(t, a.Stop())
		require.NoError(t, a.Stop(), "a second stop does nothing")
	}
}

// A start that fails half-way leaves nothing behind: goleak looks at the end, and the journal can be opened again.
func TestStartFailsHalfway(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	o := options(t)
	o.Config.HTTPAddr = taken.Addr().String()
	_, err = app.Start(t.Context(), o)
	require.ErrorContains(t, err, "--http-addr")
	require.ErrorContains(t, err, "address already in use")

	require.NoError(t, taken.Close())
	a, err := app.Start(t.Context(), o)
	require.NoError(t, err)
	require.NoError(t, a.Stop())
}

func TestTLS(t *testing.T) {
	t.Parallel()
	o := options(t)
	roots := x509.NewCertPool()
	o.Config.TLSCert, o.Config.TLSKey = certificate(t, roots)
	a, err := app.Start(t.Context(), o)
	require.NoError(t, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	require.True(t, strings.HasPrefix(a.URL(), "https://"))
	require.Equal(t, http.StatusOK, status(t, &http.Client{Transport: transport}, a.URL()+"/openapi.json"))
	require.NoError(t, a.Stop())
}

// certificate makes a certificate for loopback that is its own root.
func certificate(t *testing.T, roots *x509.CertPool) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
		return path
	}
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

// run runs the app beside the test; every start is handed over.
func run(ctx context.Context, o app.Options) (started chan *app.App, ended chan error) {
	started, ended = make(chan *app.App), make(chan error, 1)
	o.Started = func(a *app.App) { started <- a }
	go func() { ended <- app.Run(ctx, o) }()
	return started, ended
}

func receive[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		require.Fail(t, "waited too long", what)
		panic("unreachable")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	started, ended := run(ctx, options(t))
	receive(t, started, "start")
	cancel()
	require.NoError(t, receive(t, ended, "the end"))
}
