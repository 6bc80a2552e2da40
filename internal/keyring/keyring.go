// Package keyring reads certificates from files that may be exchanged under a running server.
package keyring

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files are PEM files. They are read again for each new connection, so that certificates can be rotated under a running
// server: put the new files in their places, and the next connection uses them.
type Files struct {
	CA   string // whoever it has signed is trusted; it may hold several, while one takes the other's place
	Cert string // the certificate of this side, with what lies between it and the CA
	Key  string
}

// Given tells whether there is any.
func (f Files) Given() bool { return f != Files{} }

// Credentials are what Files hold.
type Credentials struct {
	CA   *x509.CertPool   // nil: those that the system trusts
	Cert *tls.Certificate // nil: this side shows none
}

// Keyring keeps the credentials of some files up to date. The files are read for each connection, which costs little beside its
// handshake, so nothing has to watch them; they are parsed only when they have changed.
type Keyring struct {
	files  Files
	check  func(Credentials) error // refuses what the other side would refuse
	logger *slog.Logger

	mu       sync.Mutex
	content  [3][]byte // of the files, as last read
	now      Credentials
	complain string // what was last logged, which is not said again for each connection
}

// Open reads the files. It fails when they are no use, while later a bad file only leaves what was there before. check may refuse
// what the other side would refuse; it may be nil.
func Open(files Files, check func(Credentials) error, logger *slog.Logger) (*Keyring, error) {
	k := &Keyring{files: files, check: check, logger: logger}
	if err := k.refresh(); err != nil {
		return nil, err
	}
	return k, nil
}

// Current returns the credentials as they are in the files. While those cannot be used, such as between the arrival of a new
// certificate and that of its key, it returns the last that could.
func (k *Keyring) Current() Credentials {
	k.mu.Lock()
	defer k.mu.Unlock()
	err := k.refresh()
	if err == nil {
		k.complain = ""
	} else if why := err.Error(); why != k.complain {
		k.complain = why
		k.logger.Warn("certificates cannot be renewed from their files, the former ones stay", slog.Any("error", err))
	}
	return k.now
}

// refresh wants mu held. At the start a certificate that has expired is better than none; later it does not take a good one's place.
func (k *Keyring) refresh() error {
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
	if k.now != (Credentials{}) && same(content, k.content) {
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
	if now := time.Now(); k.now.Cert != nil && k.now.outOfTime(now) == nil {
		if err := next.outOfTime(now); err != nil {
			return fmt.Errorf("%s: %w", k.files.Cert, err)
		}
	}
	k.content, k.now = content, next
	return nil
}

// outOfTime tells why nobody would take the certificate of this side at an instant. It may be looked at again when its time comes.
func (c Credentials) outOfTime(now time.Time) error {
	switch {
	case c.Cert == nil:
		return nil
	case now.After(c.Cert.Leaf.NotAfter):
		return fmt.Errorf("the certificate has expired at %s", c.Cert.Leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(c.Cert.Leaf.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s", c.Cert.Leaf.NotBefore.UTC().Format(time.RFC3339))
	}
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

func (k *Keyring) parse(content [3][]byte) (c Credentials, err error) {
	if k.files.CA != "" {
		c.CA = x509.NewCertPool()
		if !c.CA.AppendCertsFromPEM(content[0]) {
			return c, fmt.Errorf("%s holds no certificate in PEM", k.files.CA)
		}
	}
	if k.files.Cert != "" {
		pair, err := tls.X509KeyPair(content[1], content[2])
		if err != nil {
			return c, fmt.Errorf("%s with the key %s: %w", k.files.Cert, k.files.Key, err)
		}
		c.Cert = &pair
	}
	return c, nil
}

// Expires tells when the certificate of this side ends; it must have one.
func (c Credentials) Expires() time.Time { return c.Cert.Leaf.NotAfter }
