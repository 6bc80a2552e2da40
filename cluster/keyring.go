package cluster

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// TLSFiles are PEM files. They are read again for each new connection, so that certificates can be rotated under a running
// node: put the new files in their places, and the next connection uses them.
type TLSFiles struct {
	CA   string // whoever it has signed is trusted; it may hold several, while one takes the other's place
	Cert string // the certificate of this side, with what lies between it and the CA
	Key  string
}

func (f TLSFiles) given() bool { return f != TLSFiles{} }

// credentials are what TLSFiles hold.
type credentials struct {
	ca   *x509.CertPool   // nil: those that the system trusts
	cert *tls.Certificate // nil: this side shows none
}

// keyring keeps the credentials of some files up to date. Connections between servers are few, so the files are read for each
// and nothing has to watch them; they are parsed only when they have changed.
type keyring struct {
	files  TLSFiles
	check  func(credentials) error // refuses what the other side would refuse
	logger *slog.Logger

	mu      sync.Mutex
	content [3][]byte // of the files, as last read
	now     credentials
}

// openKeyring fails when the files are no use, while later a bad file only leaves what was there before.
func openKeyring(files TLSFiles, check func(credentials) error, logger *slog.Logger) (*keyring, error) {
	k := &keyring{files: files, check: check, logger: logger}
	if err := k.refresh(); err != nil {
		return nil, err
	}
	return k, nil
}

// current returns the credentials as they are in the files. While those cannot be used, such as between the arrival of a new
// certificate and that of its key, it returns the last that could.
func (k *keyring) current() credentials {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.refresh(); err != nil {
		k.logger.Warn("certificates cannot be renewed from their files, the former ones stay", slog.Any("error", err))
	}
	return k.now
}

// refresh wants mu held.
func (k *keyring) refresh() error {
	var content [3][]byte
	for i, name := range []string{k.files.CA, k.files.Cert, k.files.Key} {
		if name == "" {
			continue
		}
		var err error
		if content[i], err = os.ReadFile(name); err != nil {
			return err
		}
	}
	if k.now != (credentials{}) && same(content, k.content) {
		return nil
	}
	next, err := k.parse(content)
	if err != nil {
		return err
	}
	if k.check != nil {
		if err := k.check(next); err != nil {
			return err
		}
	}
	k.content, k.now = content, next
	return nil
}

func same(a, b [3][]byte) bool {
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func (k *keyring) parse(content [3][]byte) (c credentials, err error) {
	if k.files.CA != "" {
		c.ca = x509.NewCertPool()
		if !c.ca.AppendCertsFromPEM(content[0]) {
			return c, fmt.Errorf("%s holds no certificate in PEM", k.files.CA)
		}
	}
	if k.files.Cert != "" {
		pair, err := tls.X509KeyPair(content[1], content[2])
		if err != nil {
			return c, fmt.Errorf("%s with the key %s: %w", k.files.Cert, k.files.Key, err)
		}
		c.cert = &pair
	}
	return c, nil
}

// expires tells when the certificate of this side ends.
func (c credentials) expires() time.Time { return c.cert.Leaf.NotAfter }

// fits tells whether peers will accept the certificate: one of the CA, for both ends of a connection, that bears the name.
func (c credentials) fits(name string) error {
	between := x509.NewCertPool()
	for _, der := range c.cert.Certificate[1:] {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		between.AddCert(cert)
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := c.cert.Leaf.Verify(x509.VerifyOptions{
			DNSName: name, Roots: c.ca, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage},
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
