package cluster_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/internal/keyring"
)

// authority signs certificates.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return a
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	require.NoError(t, err)
	return n
}

// node is the certificate that a node ought to have: it says nothing of where that is.
func node() *x509.Certificate {
	return &x509.Certificate{
		DNSNames: []string{cluster.DefaultNodeName}, NotAfter: time.Now().Add(30 * time.Minute),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// here is that of somebody on this machine, who is known by the address.
func here(names ...string) *x509.Certificate {
	c := node()
	c.DNSNames, c.IPAddresses = names, []net.IP{net.IPv4(127, 0, 0, 1)}
	return c
}

// issue writes a certificate, its key and the authority's own into new files.
func (a *authority) issue(cert *x509.Certificate) keyring.Files {
	a.t.Helper()
	dir, err := os.MkdirTemp(a.dir, "")
	require.NoError(a.t, err)
	files := keyring.Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	a.issueTo(files, cert)
	return files
}

// issueTo writes into the files that a node has open.
func (a *authority) issueTo(files keyring.Files, cert *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	cert.SerialNumber, cert.NotBefore = serial(a.t), time.Now().Add(-2*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	require.NoError(a.t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	writePEM(a.t, files.CA, "CERTIFICATE", a.cert.Raw)
	writePEM(a.t, files.Key, "PRIVATE KEY", keyDER)
	writePEM(a.t, files.Cert, "CERTIFICATE", der)
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
