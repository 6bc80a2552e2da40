package sim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"
)

const progressDefault = 5 * time.Second

// Options are those of the command `latchkey sim`, one for each flag.
type Options struct {
	Servers []string // --server: base URLs of the nodes; the first one is also asked to make the locks
	CAFile  string   // --tls-ca: PEM file of the roots to trust, besides the system's

	// Either the locks are made with the super key, or their credentials are read from a file.
	SuperKey         string // --super-key-file or LATCHKEY_SUPER_KEY
	Locks            int    // --locks: how many; with Credentials: how many of them, 0 for all
	FirstID          int64  // --first-id: 0 is 1
	OrgID            string // --org
	TempKeys         *TempKeyOptions
	Credentials      string // --credentials: file to read
	WriteCredentials string // --write-credentials: file to write

	ConnectRate float64 // --connect-rate: devices switched on a second; 0: 500
	MaxDriftPPM float64 // --drift-ppm
	Firmware    string  // --firmware: the version that devices name
	Motor       MotorOptions
	Backoff     Backoff
	Faults      Faults

	Record string // --record: file that gets a line for each movement
	Flash  string // --flash: file that keeps the devices' journals over a restart of this process

	Progress time.Duration // --progress: between two lines; 0: 5 s, negative: none
	Output   io.Writer     // nil: standard output
	Logger   *slog.Logger  // nil: no logs
	Started  func(*Fleet)  // called when all devices were switched on; may be nil
}

func (o *Options) validate() error {
	orDefault(&o.Progress, progressDefault)
	if o.Output == nil {
		o.Output = os.Stdout
	}
	switch {
	case len(o.Servers) == 0:
		return errors.New("sim: name a server, such as http://127.0.0.1:8080")
	case o.SuperKey == "" && o.Credentials == "":
		return errors.New("sim: give the super key, so that locks can be made, or a file of credentials: --super-key-file, LATCHKEY_SUPER_KEY or --credentials")
	case o.SuperKey != "" && o.Credentials != "":
		return errors.New("sim: give either the super key or a file of credentials")
	case o.Locks < 0 || o.Locks == 0 && o.Credentials == "":
		return errors.New("sim: how many locks?")
	}
	return nil
}

// Run simulates locks until ctx ends, which is a success, and prints what they do.
func Run(ctx context.Context, o Options) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	trust, err := readRoots(o.CAFile)
	if err != nil {
		return err
	}
	creds, err := o.credentials(ctx, trust)
	if err != nil {
		return endOf(ctx, err)
	}
	fo := FleetOptions{
		ConnectRate: o.ConnectRate, MaxDriftPPM: o.MaxDriftPPM,
		Device: DeviceOptions{
			Servers: o.Servers, TLS: trust, Firmware: o.Firmware, Motor: o.Motor, Backoff: o.Backoff, Faults: o.Faults,
			Recorder: NewFileRecorder(nil), Logger: o.Logger,
		},
	}
	if o.Record != "" {
		f, ferr := os.OpenFile(o.Record, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if ferr != nil {
			return fmt.Errorf("sim: record of movements: %w", ferr)
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		fo.Device.Recorder = NewFileRecorder(f)
	}
	if o.Flash != "" {
		if fo.Flashes, err = OpenFlashFile(o.Flash); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, fo.Flashes.Close()) }()
	}
	fleet, err := NewFleet(creds, fo)
	if err != nil {
		return err
	}
	defer func() { // before the files are closed
		c := fleet.Counts()
		fleet.Stop()
		fmt.Fprintf(o.Output, "summary: %d locks, %s\n", len(creds), c)
		err = errors.Join(err, fleet.Recorder().Err())
	}()
	if err := fleet.Start(ctx); err != nil {
		return endOf(ctx, err)
	}
	if o.Started != nil {
		o.Started(fleet)
	}
	o.watch(ctx, fleet)
	return nil
}

// credentials makes the locks or reads their credentials.
func (o *Options) credentials(ctx context.Context, trust *tls.Config) ([]Credential, error) {
	var creds []Credential
	if o.Credentials != "" {
		var err error
		if creds, err = ReadCredentials(o.Credentials); err != nil {
			return nil, err
		}
		if o.Locks > len(creds) {
			return nil, fmt.Errorf("sim: %s has %d credentials, not %d", o.Credentials, len(creds), o.Locks)
		}
		if o.Locks > 0 {
			creds = creds[:o.Locks]
		}
	} else {
		fmt.Fprintf(o.Output, "making %d locks at %s\n", o.Locks, o.Servers[0])
		transport := &http.Transport{TLSClientConfig: trust, MaxIdleConnsPerHost: provisionParallel}
		defer transport.CloseIdleConnections()
		locks, err := Provision(ctx, ProvisionOptions{
			Server: asHTTP(o.Servers[0]), SuperKey: o.SuperKey, Count: o.Locks, FirstID: o.FirstID,
			OrgID: o.OrgID, TempKey: o.TempKeys, Client: &http.Client{Transport: transport},
		})
		if err != nil {
			return nil, err
		}
		for _, l := range locks {
			creds = append(creds, l.Credential)
			if l.Link != "" {
				fmt.Fprintf(o.Output, "lock %d: %s\n", l.LockID, l.Link)
			}
		}
	}
	if o.WriteCredentials == "" {
		return creds, nil
	}
	return creds, WriteCredentials(o.WriteCredentials, creds)
}

// asHTTP makes the URL of the API from one that may be of WebSockets.
func asHTTP(server string) string {
	if rest, ok := strings.CutPrefix(server, "ws"); ok {
		return "http" + rest
	}
	return server
}

// watch prints a line now and then, until ctx ends.
func (o *Options) watch(ctx context.Context, fleet *Fleet) {
	if o.Progress < 0 {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(o.Progress)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			fmt.Fprintln(o.Output, fleet.Counts())
		}
	}
}

// endOf turns the end of ctx, which is how a run is meant to end, into a success.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// readRoots trusts the certificates in a PEM file besides the system's.
func readRoots(path string) (*tls.Config, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("sim: certificates to trust: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("sim: no certificate in %s", path)
	}
	return &tls.Config{RootCAs: pool}, nil
}
