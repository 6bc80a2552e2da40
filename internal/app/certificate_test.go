package app_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/app"
)

// certificate writes a new certificate that is its own root, and good until then, into the folder.
func certificate(t *testing.T, dir string, until time.Time, name string, uris ...*url.URL) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(until.Unix()), Subject: pkix.Name{CommonName: name}, NotAfter: until, IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, URIs: uris,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for kind, content := range map[string][]byte{"CERTIFICATE": der, "PRIVATE KEY": keyDER} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, kind), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600))
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A certificate that is renewed in its place is shown from the next connection on, and its end is on /metrics.
func TestCertificateIsRenewedInPlace(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), options(t)
	soon := time.Now().Add(time.Hour).Truncate(time.Second)
	certificate(t, dir, soon, "keys.example")
	o.Config.TLSCert, o.Config.TLSKey = filepath.Join(dir, "CERTIFICATE"), filepath.Join(dir, "PRIVATE KEY")
	a, err := app.Start(t.Context(), o)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Stop()) }()
	addr := a.URL()[len("https://"):]

	shown := func() time.Time {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // it looks at what is shown
		require.NoError(t, err)
		defer conn.Close()
		require.Equal(t, "h2", conn.ConnectionState().NegotiatedProtocol)
		return conn.ConnectionState().PeerCertificates[0].NotAfter
	}
	ends := func() string {
		response, err := http.Get(a.OpsURL() + "/metrics")
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		http.DefaultClient.CloseIdleConnections()
		return string(body)
	}
	line := func(until time.Time) string {
		return fmt.Sprintf("\nlatchkey_app_certificate_expiry_timestamp_seconds %v\n", float64(until.Unix()))
	}
	require.True(t, soon.Equal(shown()))
	require.Contains(t, ends(), line(soon))

	later := soon.Add(24 * time.Hour)
	certificate(t, dir, later, "keys.example")
	require.True(t, later.Equal(shown()))
	require.Contains(t, ends(), line(later))

	require.NoError(t, os.WriteFile(o.Config.TLSCert, []byte("half"), 0o600))
	require.True(t, later.Equal(shown()), "a file that is no use leaves the former certificate")
}

// A server serves on with a certificate that has expired, for a new one may come at any time; it must not sound as if all were well.
func TestExpiredCertificateIsWarnedOf(t *testing.T) {
	t.Parallel()
	for age, warns := range map[time.Duration]bool{time.Hour: true, -time.Hour: false} {
		dir, o := t.TempDir(), options(t)
		certificate(t, dir, time.Now().Add(-age), "keys.example")
		o.Config.TLSCert, o.Config.TLSKey = filepath.Join(dir, "CERTIFICATE"), filepath.Join(dir, "PRIVATE KEY")
		var log bytes.Buffer
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		a, err := app.Start(t.Context(), o)
		require.NoError(t, err)
		require.NoError(t, a.Stop())
		require.Equal(t, warns, strings.Contains(log.String(), "has expired"), log.String())
	}
}

// A device that shows a certificate of the operator's CA needs no secret; a guest is asked for nothing.
func TestDevicesShowCertificates(t *testing.T) {
	t.Parallel()
	const uuid = "6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b"
	dir, ours, o := t.TempDir(), t.TempDir(), options(t)
	certificate(t, dir, time.Now().Add(time.Hour), "keys.example")
	device := certificate(t, ours, time.Now().Add(time.Hour), uuid)
	o.Config.TLSCert, o.Config.TLSKey = filepath.Join(dir, "CERTIFICATE"), filepath.Join(dir, "PRIVATE KEY")
	o.SuperKey = strings.Repeat("k", 40)
	o.Config.DeviceTLSCA = filepath.Join(ours, "CERTIFICATE")
	a, err := app.Start(t.Context(), o)
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Stop()) }()

	connect := func(certificates ...tls.Certificate) int {
		dialer := websocket.Dialer{
			Subprotocols:    []string{"latchkey.v1"},
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: certificates}, //nolint:gosec // as above
		}
		ws, response, err := dialer.Dial("wss"+a.URL()[len("https"):]+"/devices/"+uuid+"/connect", nil)
		require.NotNil(t, response, "%v", err)
		require.NoError(t, response.Body.Close())
		if err == nil {
			require.NoError(t, ws.Close())
		}
		return response.StatusCode
	}
	guest := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as above
	}}
	body := fmt.Sprintf(`{"index": 7, "uuid": %q}`, uuid)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.URL()+"/locks/7/CreateLock", strings.NewReader(body))
	require.NoError(t, err)
	request.Header = http.Header{"X-Api-Key": {o.SuperKey}, "Content-Type": {"application/json"}}
	response, err := guest.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Less(t, response.StatusCode, 300)

	require.Equal(t, http.StatusUnauthorized, connect())
	require.Equal(t, http.StatusSwitchingProtocols, connect(device))
}
