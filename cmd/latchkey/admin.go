package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"
)

// adminCommand is the operator's part of the API, for people. It asks a server that runs, and never the journal behind its
// back.
type adminCommand struct {
	Server       string `default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address of a server (${default})."`
	SuperKeyFile string `placeholder:"FILE" help:"File with the super key; or $$LATCHKEY_SUPER_KEY. There is no flag for the key itself, since others can see flags."`
	CAFile       string `name:"ca-file" placeholder:"FILE" help:"Certificates (PEM) that vouch for the server, beside those of the system."`
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

const (
	adminTimeout   = 30 * time.Second // of one call; a server answers within its own 10 seconds
	maxAdminAnswer = 8 << 20
)

// admin calls a server with the super key.
type admin struct {
	server   string
	superKey string
	http     *http.Client
	json     bool
	out      io.Writer
}

func (c *adminCommand) connect(out io.Writer) (*admin, error) {
	u, err := url.Parse(c.Server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--server: %q is no http:// or https:// URL", c.Server)
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && !c.Insecure && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("--server: the super key would travel in plain HTTP: take an https:// URL, or give --insecure")
	}
	key := os.Getenv(superKeyVariable)
	if c.SuperKeyFile != "" {
		content, err := os.ReadFile(c.SuperKeyFile)
		if err != nil {
			return nil, fmt.Errorf("--super-key-file: %w", err)
		}
		key = string(content)
	}
	if key = strings.TrimSpace(key); key == "" {
		return nil, fmt.Errorf("the super key is missing: name its file with --super-key-file, or put it into $%s", superKeyVariable)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.CAFile != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		content, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("--ca-file: %w", err)
		}
		if !pool.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("--ca-file: %s has no certificate", c.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &admin{
		server: strings.TrimRight(c.Server, "/"), superKey: key, json: c.JSON, out: out,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the super key goes nowhere else
		}},
	}, nil
}

// send sends a request. An answer that is not a success is an error in the server's words.
func (a *admin) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, a.server+path, content)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-API-Key", a.superKey)
	r.Header.Set("Accept", "application/json, application/x-ndjson")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := a.http.Do(r)
	if err != nil || response.StatusCode < http.StatusMultipleChoices {
		return response, err
	}
	defer response.Body.Close()
	var problem struct{ Message, Reason, RequestID string }
	if json.NewDecoder(io.LimitReader(response.Body, maxAdminAnswer)).Decode(&problem) != nil || problem.Message == "" {
		return nil, fmt.Errorf("%s answered %s: is it a Latchkey server?", a.server, response.Status)
	}
	return nil, fmt.Errorf("%s (%s, request %s)", problem.Message, problem.Reason, problem.RequestID)
}

// call does one operation, and prints the answer as it is if that was asked for; done tells so.
func (a *admin) call(ctx context.Context, method, path string, body, answer any) (done bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	response, err := a.send(ctx, method, path, body)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAdminAnswer))
	if err != nil {
		return false, err
	}
	if a.json {
		_, err = a.out.Write(content)
		return true, err
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return false, fmt.Errorf("%s answered what cannot be read: %w", a.server, err)
	}
	return false, nil
}

// say prints for a person.
func (a *admin) say(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}

// table prints rows in columns.
func (a *admin) table(rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
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
