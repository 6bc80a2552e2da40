package app

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/internal/config"
	"github.com/latchkey/latchkey/internal/keyring"
)

// certificate is what the server shows to guests, platforms and devices, and whose certificates of devices it believes. Public
// certificates end every few months, so that a restart for each would be one too many.
type certificate struct {
	keys *keyring.Keyring

	mu     sync.Mutex
	made   keyring.Credentials // what config was made of
	config *tls.Config         // kept while nothing changes, for it has the keys of the sessions that clients resume
}

// openCertificate returns nil for a server that speaks plain HTTP.
func openCertificate(c config.Server, logger *slog.Logger) (*certificate, error) {
	if !c.TLS() {
		return nil, nil
	}
	keys, err := keyring.Open(keyring.Files{CA: c.DeviceTLSCA, Cert: c.TLSCert, Key: c.TLSKey}, nil, logger)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key, --device-tls-ca: %w", err)
	}
	if expires := keys.Current().Expires(); time.Now().After(expires) {
		logger.Warn("the certificate that clients and devices are shown has expired, so that they go away: put a new one into its file", "expired", expires)
	} else {
		logger.Info("clients are shown a certificate", "expires", expires)
	}
	return &certificate{keys: keys}, nil
}

// current is the TLS configuration for a connection that begins now.
func (c *certificate) current(*tls.ClientHelloInfo) (*tls.Config, error) {
	now := c.keys.Current()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.config == nil || now != c.made {
		c.made, c.config = now, &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*now.Cert}, NextProtos: []string{"h2", "http/1.1"},
		}
		if now.CA != nil { // devices may show a certificate; guests have none
			c.config.ClientAuth, c.config.ClientCAs = tls.VerifyClientCertIfGiven, now.CA
		}
	}
	return c.config, nil
}

// observe shows when the certificate ends, if there is one.
func (c *certificate) observe(r prometheus.Registerer) error {
	if c == nil {
		return nil
	}
	return r.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "latchkey_app_certificate_expiry_timestamp_seconds", Help: "When the certificate ends that clients and devices are shown.",
	}, func() float64 { return float64(c.keys.Current().Expires().Unix()) }))
}
