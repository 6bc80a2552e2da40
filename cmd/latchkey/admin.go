package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"github.com/latchkey/latchkey/client"
	"github.com/latchkey/latchkey/internal/config"
)

// adminCommand is the operator's part of the API, for people. It asks a server that runs, and never the journal behind its
// back.
type adminCommand struct {
	Server       string `env:"LATCHKEY_SERVER" default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address of a server (${default})."`
	SuperKeyFile string `env:"LATCHKEY_SUPER_KEY_FILE" placeholder:"FILE" help:"File with the super key; or $$LATCHKEY_SUPER_KEY. There is no flag for the key itself, since others can see flags."`
	CAFile       string `name:"ca-file" env:"LATCHKEY_CA_FILE" placeholder:"FILE" help:"Certificates (PEM) that vouch for the server, beside those of the system."`
	Insecure     bool   `help:"Allow plain HTTP to another machine, where the super key would travel readably."`
	JSON         bool   `name:"json" help:"Print the server's answers as they are."`

	Org  adminOrg  `cmd:"" help:"Organisations: create, list, events."`
	Key  adminKey  `cmd:"" help:"Their API keys: create, list, rotate, revoke."`
	Lock adminLock `cmd:"" help:"Locks: create, show, hand-over, secret, open, events."`
}

// AfterApply is called by kong: the commands below get the operator's part of the command line from it.
func (c *adminCommand) AfterApply(k *kong.Context) error {
	k.Bind(c)
	return nil
}

// admin calls a server with the super key, and prints.
type admin struct {
	api  *client.ClientWithResponses
	json bool
	out  io.Writer
}

func (c *adminCommand) connect(out io.Writer) (*admin, error) {
	key, err := c.superKey()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Server)
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && !c.Insecure && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("--server: the super key would travel in plain HTTP: take an https:// URL, or give --insecure")
	}
	web, err := c.web()
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	api, err := client.New(client.Options{Server: c.Server, APIKey: key, HTTP: web, Tries: adminTries})
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	return &admin{api: api, json: c.JSON, out: escaping{out}}, nil
}

func (c *adminCommand) superKey() (string, error) {
	key := os.Getenv(superKeyVariable)
	if c.SuperKeyFile != "" {
		content, err := os.ReadFile(c.SuperKeyFile)
		if err != nil {
			return "", fmt.Errorf("--super-key-file: %w", err)
		}
		key = string(content)
	}
	if key = strings.TrimSpace(key); key == "" {
		return "", fmt.Errorf("the super key is missing: name its file with --super-key-file, or put it into $%s", superKeyVariable)
	}
	return key, nil
}

// adminTries is how often a call is made: somebody waits for it, who can also call again.
const adminTries = 3

// reaching says what to do when nobody answers at the server's address.
type reaching struct{ http.RoundTripper }

// RoundTrip makes a call.
func (t reaching) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	var failed *net.OpError
	if errors.As(err, &failed) && failed.Op == "dial" {
		err = fmt.Errorf("%w (is a server running there? --server or $%s_SERVER names another)", err, config.EnvPrefix)
	}
	return answer, err
}

// web trusts the certificates of --ca-file too.
func (c *adminCommand) web() (*http.Client, error) {
	if c.CAFile == "" {
		return &http.Client{Transport: reaching{http.DefaultTransport}}, nil
	}
	content, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s has no certificate", c.CAFile)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: reaching{transport}}, nil
}

// tell prints an answer: as it is if that was asked for, and otherwise in the words of print. An answer that could not be
// read is not from a server of ours.
func tell[T any](a *admin, body []byte, answer *T, print func(*T) error) error {
	switch {
	case answer == nil:
		return errors.New("the server gave an answer that cannot be read: is it a Latchkey server?")
	case a.json:
		_, err := a.out.Write(body)
		return err
	}
	return print(answer)
}

// say prints for a person. Texts that others have chosen are plain strings among the args.
func (a *admin) say(format string, args ...any) error {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = shown(text)
		}
	}
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}

// table prints rows in columns.
func (a *admin) table(rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i := range row {
			row[i] = shown(row[i])
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// or is what a table shows instead of nothing.
func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

// told is what a server told, if it did.
func told[T any](value *T) (v T) {
	if value != nil {
		v = *value
	}
	return v
}

// wanted is what a server is told, if there is something to tell.
func wanted[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
