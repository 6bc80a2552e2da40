package keyring_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/keyring"
)

func write(t *testing.T, f keyring.Files, from, until time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: until}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	require.NoError(t, os.WriteFile(f.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}

// A renewal that goes wrong, by which an old certificate comes back or one of the future, must not shut out everybody at once.
func TestAGoodCertificateIsNotReplacedByABadOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := keyring.Files{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	now := time.Now().Truncate(time.Second)
	day := 24 * time.Hour
	write(t, files, now.Add(-2*day), now.Add(-day))
	var log bytes.Buffer
	keys, err := keyring.Open(files, nil, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err, "one that has expired is better than none")
	shows := func(until time.Time) { require.True(t, until.Equal(keys.Current().Expires())) }
	shows(now.Add(-day))

	write(t, files, now.Add(-2*day), now.Add(-time.Hour))
	shows(now.Add(-time.Hour))
	write(t, files, now.Add(-day), now.Add(day))
	shows(now.Add(day))
	require.Empty(t, log.String())

	for says, times := range map[string][2]time.Time{
		"has expired at":      {now.Add(-2 * day), now.Add(-day)},
		"is not valid before": {now.Add(day), now.Add(9 * day)},
	} {
		log.Reset()
		write(t, files, times[0], times[1])
		shows(now.Add(day))
		shows(now.Add(day))
		require.Equal(t, 1, strings.Count(log.String(), says), log.String())
		require.Contains(t, log.String(), "level=WARN")
	}
	write(t, files, now.Add(-day), now.Add(3*day))
	shows(now.Add(3 * day))
}
