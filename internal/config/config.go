// Package config is what a server can be told, and where it is told it: flags win over the environment (LATCHKEY_...),
// which wins over a YAML file, which wins over the defaults.
//
// There is one schema: the fields of Server with their tags. The names in the environment, in the file, and in the
// help are all made from the flags, so they cannot drift apart.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// EnvPrefix starts the name of every environment variable.
const EnvPrefix = "LATCHKEY"

// Server is the configuration of `latchkey serve`.
type Server struct {
	Config File `placeholder:"FILE" help:"YAML file with any of these flags, by their names without the dashes in front."`

	HTTPAddr       string         `name:"http-addr" default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Address of the API, the guests' pages and the devices' WebSockets (${default})."`
	OpsAddr        string         `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Address of metrics, health and profiles: for the operator only (${default})."`
	PublicURL      string         `name:"public-url" placeholder:"URL" help:"Where guests reach this server, as in https://keys.example.com (default: the host that their requests name)."`
	TrustedProxies []netip.Prefix `placeholder:"CIDR" help:"Proxies in front of this server, as in 10.0.0.5/32,10.0.0.6/32: only they are believed in X-Forwarded-For, by which callers are counted and which the audit of changes keeps (default: none)."`
	TLSCert        string         `name:"tls-cert" placeholder:"FILE" help:"Certificate chain (PEM) for --http-addr. It is read again for each connection, so it can be renewed at any time."`
	TLSKey         string         `name:"tls-key" placeholder:"FILE" help:"Private key (PEM) of --tls-cert."`
	DeviceTLSCA    string         `name:"device-tls-ca" placeholder:"FILE" help:"CA (PEM) of devices' certificates: a device that shows one with its UUID needs no secret (default: devices need secrets)."`
	Insecure       bool           `help:"Allow plain HTTP beyond this machine: only behind a proxy that terminates TLS, since device secrets and guest links travel."`

	DataDir              string   `default:"./latchkey-data" placeholder:"DIR" help:"Folder of the journal, the embedded etcd and the super key's hash (${default})."`
	JournalURL           string   `name:"journal-url" placeholder:"URL" help:"Where the journal is: sqlite:PATH (default: journal.db in the data folder), or postgres://USER@HOST/DATABASE, which several servers share. A password is better given in $$LATCHKEY_JOURNAL_URL or the file, since others can see flags."`
	EtcdEndpoints        []string `placeholder:"URL" help:"etcd servers of a cluster (default: an etcd of its own inside this process)."`
	ClusterAddr          string   `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Address at which other members reach this one; port 0 is any free one (${default})."`
	ClusterAdvertiseAddr string   `placeholder:"HOST:PORT" help:"Address that the other members are told, when it is not that of --cluster-addr: behind a proxy, or in a container (default: --cluster-addr)."`

	Trust

	PINKeyFile string `name:"pin-key-file" placeholder:"FILE" help:"File with the key that guards the PINs of doors, 64 hexadecimal digits; all servers of a journal need the same one. Keep it apart from copies of the journal (default: pin.key in the data folder, made by the first start of a server that has its journal to itself)."`

	SuperKeyFile string `placeholder:"FILE" help:"File with the operator's super key, 32 characters or more; or $$LATCHKEY_SUPER_KEY. Without either the first start makes one and prints it once."`

	JWTJWKS            string `name:"jwt-jwks" placeholder:"URL|FILE" help:"JSON Web Key Set that verifies users' tokens (RS256, ES256)."`
	JWTHS256SecretFile string `name:"jwt-hs256-secret-file" placeholder:"FILE" help:"Shared secret that verifies users' tokens (HS256); for development."`
	JWTIssuer          string `name:"jwt-issuer" placeholder:"ISS" help:"Issuer that a token must name."`
	JWTAudience        string `name:"jwt-audience" placeholder:"AUD" help:"Audience that a token must name."`

	StartTimeout   time.Duration `default:"1m" placeholder:"DURATION" help:"How long a start waits for a PostgreSQL, and then for an etcd, that does not answer; 0: one attempt (${default})."`
	DrainDelay     time.Duration `default:"500ms" placeholder:"DURATION" help:"How long a stop goes on serving after /readyz began to say 503, for clients to leave; longer than the load balancer's checks are apart (${default})."`
	RatePerCaller  int           `default:"2000" placeholder:"N" help:"Requests a second that an API key or a user may make of this server for long, and twice as many at once; 0: any number (${default})."`
	RatePerAddress int           `default:"300" placeholder:"N" help:"The same for callers without credentials, by their address, and ten times as many at once (${default})."`
	RatePerTarget  int           `default:"200" placeholder:"N" help:"The same for one lock or one guest's key, by each organisation, each user and all guests together, and five times as many at once (${default})."`

	DrainTimeout time.Duration `default:"15s" placeholder:"DURATION" help:"The longest that a stop may take to let work in flight finish, --drain-delay included (${default})."`
	LogLevel     string        `enum:"debug,info,warn,error" default:"info" placeholder:"LEVEL" help:"Least level that is logged: ${enum} (${default})."`
	LogFormat    string        `enum:"text,json" default:"text" placeholder:"FORMAT" help:"Form of the log: ${enum} (${default})."`

	strange []string // see StrangeVariables
}

// maxRate is the most requests a second that a limit can name.
const maxRate = 1_000_000

// The bounds of --drain-timeout.
const (
	minDrainTimeout = time.Second
	maxDrainTimeout = 10 * time.Minute
)

// Networks of proxies that are wider than this have other machines too, as a rule.
const (
	leastProxyBits  = 24
	leastProxyBits6 = 64
)

// WideProxies gives the networks of --trusted-proxies in which there is room for more than proxies: whoever is there is believed, and can say
// for each request that it comes from somebody else.
func (s *Server) WideProxies() []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(s.TrustedProxies), func(p netip.Prefix) bool {
		if p.Addr().Is4() {
			return p.Bits() >= leastProxyBits
		}
		return p.Bits() >= leastProxyBits6
	})
}

// Validate tells everything that is wrong at once, each with what to do about it. kong calls it after parsing.
func (s *Server) Validate() error {
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	for _, a := range []struct{ flag, addr string }{
		{"http-addr", s.HTTPAddr}, {"ops-addr", s.OpsAddr}, {"cluster-addr", s.ClusterAddr}, {"cluster-advertise-addr", s.ClusterAdvertiseAddr},
	} {
		if a.addr == "" && a.flag == "cluster-advertise-addr" {
			continue // it is that of --cluster-addr
		}
		_, port, err := net.SplitHostPort(a.addr)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			complain("--%s: %q is no HOST:PORT with a port from 0 to 65535", a.flag, a.addr)
		}
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		complain("--tls-cert and --tls-key belong together: one of them is missing")
	}
	if s.DeviceTLSCA != "" && !s.TLS() {
		complain("--device-tls-ca needs --tls-cert and --tls-key: only a server that speaks TLS is shown certificates")
	}
	if !s.TLS() && !s.Insecure && !loopback(s.HTTPAddr) {
		complain("--http-addr %s can be reached from other machines, where device secrets and guest links would travel in plain HTTP: "+
			"give --tls-cert and --tls-key, or --insecure if a proxy in front of it terminates TLS", s.HTTPAddr)
	}
	s.validateCluster(complain)
	if s.PublicURL != "" && !webURL(s.PublicURL) {
		complain("--public-url: %q is no http:// or https:// URL", s.PublicURL)
	}
	if s.DataDir == "" {
		complain("--data-dir must not be empty")
	}
	if _, _, err := JournalAt(s.JournalURL, s.DataDir); err != nil {
		errs = append(errs, err)
	}
	if u, err := url.Parse(s.JWTJWKS); err == nil && u.Scheme == "http" && !s.Insecure && !loopback(hostPort(u)) {
		complain("--jwt-jwks %s is not encrypted, so that whoever is on the way could sign tokens: take an https:// URL, or give --insecure", redacted(s.JWTJWKS))
	}
	if s.JWTJWKS != "" && s.JWTHS256SecretFile != "" {
		complain("--jwt-jwks and --jwt-hs256-secret-file exclude each other: with both, whoever knows the secret could sign for the issuer")
	}
	if (s.JWTIssuer != "" || s.JWTAudience != "") && s.JWTJWKS == "" && s.JWTHS256SecretFile == "" {
		complain("--jwt-issuer and --jwt-audience say which tokens are good, and without --jwt-jwks none are: give it, too")
	}
	for _, r := range []struct {
		flag string
		rate int
	}{{"rate-per-caller", s.RatePerCaller}, {"rate-per-address", s.RatePerAddress}, {"rate-per-target", s.RatePerTarget}} {
		if r.rate < 0 || r.rate > maxRate {
			complain("--%s must be from 0 to %d, not %d", r.flag, maxRate, r.rate)
		}
	}
	if s.DrainTimeout < minDrainTimeout || s.DrainTimeout > maxDrainTimeout {
		complain("--drain-timeout must be from %s to %s, not %s", minDrainTimeout, maxDrainTimeout, s.DrainTimeout)
	}
	if s.DrainDelay < 0 || s.DrainDelay > s.DrainTimeout/2 {
		complain("--drain-delay must be from 0 to half of --drain-timeout, not %s", s.DrainDelay)
	}
	if s.StartTimeout < 0 {
		complain("--start-timeout must not be negative")
	}
	return errors.Join(errs...)
}

// TLS tells whether the HTTP address speaks TLS.
func (s *Server) TLS() bool { return s.TLSCert != "" && s.TLSKey != "" }

// journalFile is the journal's name in the data folder.
const journalFile = "journal.db"

// JournalAt tells where --journal-url and --data-dir put the journal: in a PostgreSQL database, or else in an SQLite file.
func JournalAt(journalURL, dataDir string) (postgresURL, sqlitePath string, err error) {
	path, inFile := strings.CutPrefix(journalURL, "sqlite:")
	switch {
	case journalURL == "":
		return "", filepath.Join(dataDir, journalFile), nil
	case inFile && path != "":
		return "", path, nil
	case strings.HasPrefix(journalURL, "postgres://"), strings.HasPrefix(journalURL, "postgresql://"):
		return journalURL, "", nil
	}
	return "", "", fmt.Errorf("--journal-url is sqlite:PATH, as in sqlite:/var/lib/latchkey/journal.db, or postgres://USER@HOST/DATABASE, and not %s",
		redacted(journalURL))
}

func webURL(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// hostPort is the address that a URL leads to.
func hostPort(u *url.URL) string { return net.JoinHostPort(u.Hostname(), "80") }

// redacted shows enough of what should be a URL to know it again, and nothing that may be a password and would end up in a log.
// Those are in a user, in a query, and anywhere in what is no URL after all.
func redacted(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" && u.Scheme == "":
		return "what was given"
	case u.Host == "":
		return u.Scheme + ":..."
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}

// loopback tells whether an address can be reached from this machine only.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return true // has been complained about
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
