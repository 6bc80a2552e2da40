package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/internal/config"
	"github.com/latchkey/latchkey/internal/demo"
)

// demoFolder is in the data folder.
const demoFolder = "demo"

type demoCommand struct{ config.Server }

// Run serves, with simulated locks that connect to it, until a signal comes.
func (c *demoCommand) Run(ctx context.Context, out terminal) error {
	logger := newLogger(os.Stderr, c.LogLevel, c.LogFormat)
	takeSlack(logger)
	tellStrange(logger, c.Server)
	app.TuneMemory(ctx)
	dir := filepath.Join(c.DataDir, demoFolder)
	superKey, err := c.superKey(dir)
	if err != nil {
		return err
	}
	trust, err := trustOwn(c.TLSCert)
	if err != nil {
		return err
	}

	// The server runs for as long as the locks do, and the other way round.
	group, ctx := errgroup.WithContext(ctx)
	started := make(chan *app.App, 1)
	group.Go(func() error {
		return app.Run(ctx, app.Options{
			Config: c.Server, SuperKey: superKey, Version: buildVersion(), Logger: logger,
			Started: func(a *app.App) {
				select {
				case started <- a:
				default: // it started over; the locks come back by themselves
				}
			},
		})
	})
	group.Go(func() error {
		select {
		case a := <-started:
			publicURL := c.PublicURL
			if publicURL == "" {
				publicURL = a.URL()
			}
			return demo.Run(ctx, demo.Options{
				Dir: dir, Server: a.URL(), PublicURL: publicURL, OpsURL: a.OpsURL(), SuperKey: superKey, TLS: trust,
				Out: out, Logger: logger,
			})
		case <-ctx.Done():
			return nil
		}
	})
	return group.Wait()
}

// superKey is what the operator gave, else the demo's own, which it keeps so that it can show it again.
func (c *demoCommand) superKey(dir string) (string, error) {
	if key, err := readSuperKey(c.SuperKeyFile); key != "" || err != nil {
		return key, err
	}
	return demo.SuperKey(dir)
}

// trustOwn lets the simulated locks trust the server's own certificate, which may be signed by nobody.
func trustOwn(certFile string) (*tls.Config, error) {
	if certFile == "" {
		return nil, nil
	}
	content, err := os.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, errors.New("--tls-cert: there is no certificate in " + certFile)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
