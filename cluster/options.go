package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/internal/keyring"
)

// The defaults of Options.
const (
	DefaultAddr           = "127.0.0.1:0"
	DefaultLeaseTTL       = 5 * time.Second
	DefaultMailboxSize    = 1024
	DefaultRequestTimeout = 10 * time.Second
	DefaultStartTimeout   = 10 * time.Second

	clusterName    = "latchkey"
	minLeaseTTL    = time.Second
	maxMailboxSize = 1 << 16
)

// Options describes a node. The zero value of a field takes its default.
type Options struct {
	// Addr is the host:port on which the node listens for other nodes; port 0 takes a free one.
	Addr string
	// AdvertiseAddr is the host:port at which other nodes reach it; the address that it listens on by default.
	AdvertiseAddr string

	// EtcdEndpoints are the servers of an etcd that the nodes share. Without any the node runs an etcd of its own: it is alone
	// then, and opens no port at all.
	EtcdEndpoints []string
	// EtcdTLS are the CA of that etcd (by default those that the system trusts) and the certificate to show to it, if any.
	EtcdTLS keyring.Files
	// EtcdUser and EtcdPassword log in to it.
	EtcdUser, EtcdPassword string
	// EtcdDir holds the data of the node's own etcd.
	EtcdDir string

	// TLS authenticates and encrypts the connections to other nodes. Without it they are plain, and whoever reaches the port can
	// act as a node.
	TLS keyring.Files
	// NodeName is the DNS name that the certificate of every node bears.
	NodeName string

	// Store names where the grains keep their state, which all nodes of a cluster must share: a node does not join members that
	// name another one. Empty: nobody looks.
	Store string
	// Home names what only one process can have at a time, such as a locked folder. A node that finds a member at its own address takes it
	// away when that has its home, since it was this node before it was killed; otherwise the node does not start. Empty is a home, too.
	Home string
	// LeaseTTL is how long the others wait for a node that has died.
	LeaseTTL time.Duration

	// StartTimeout is how long Start waits for an etcd that does not answer.
	StartTimeout time.Duration

	// Kinds are the grains that this node can run, by the name of their kind. The producers are called while a request waits,
	// so they only construct; a grain loads its state when its first message comes.
	Kinds map[string]*actor.Props
	// Owed counts the answers that grains still owe which have stopped. A drain waits for them as it does for grains.
	Owed func() int
	// Late counts those that only wait for their time. A drain waits for them, too, but does not fail for them.
	Late func() int
	// MailboxSize is how many requests wait for one grain before further ones are answered Busy. Messages that nobody waits
	// for may take as much again, because nobody would send them again.
	MailboxSize int
	// RequestTimeout bounds a request whose context has no deadline, or a later one.
	RequestTimeout time.Duration

	Logger     *slog.Logger
	Registerer prometheus.Registerer

	// WatchDelay holds back what this node learns about the membership, so that a test can have nodes disagree.
	WatchDelay time.Duration
}

func (o Options) alone() bool { return len(o.EtcdEndpoints) == 0 }

func (o Options) withDefaults() Options {
	if o.Addr == "" {
		o.Addr = DefaultAddr
	}
	if o.NodeName == "" {
		o.NodeName = DefaultNodeName
	}
	if o.LeaseTTL == 0 {
		o.LeaseTTL = DefaultLeaseTTL
	}
	if o.MailboxSize == 0 {
		o.MailboxSize = DefaultMailboxSize
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = DefaultStartTimeout
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = DefaultRequestTimeout
	}
	if o.Late == nil {
		o.Late = func() int { return 0 }
	}
	if o.Owed == nil {
		o.Owed = func() int { return 0 }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	invalid := func(format string, args ...any) { errs = append(errs, fmt.Errorf("cluster: "+format, args...)) }

	host, _, err := net.SplitHostPort(o.Addr)
	if err != nil {
		invalid("address %q is not host:port: %w", o.Addr, err)
	}
	if ip := net.ParseIP(host); o.AdvertiseAddr == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		errs = append(errs, fmt.Errorf("%w: a node that listens on %q needs one to advertise", ErrAddress, o.Addr))
	}
	if o.AdvertiseAddr != "" {
		if _, _, err := net.SplitHostPort(o.AdvertiseAddr); err != nil {
			invalid("advertised address %q is not host:port: %w", o.AdvertiseAddr, err)
		}
	}
	if o.alone() && o.EtcdDir == "" {
		invalid("neither the endpoints of an etcd nor a directory for an own one")
	}
	if o.TLS.Given() && (o.TLS.CA == "" || o.TLS.Cert == "" || o.TLS.Key == "") {
		invalid("TLS between nodes needs a CA, a certificate and its key")
	}
	if (o.EtcdTLS.Cert == "") != (o.EtcdTLS.Key == "") {
		invalid("a certificate for etcd needs its key, and a key its certificate")
	}
	if (o.EtcdUser == "") != (o.EtcdPassword == "") {
		invalid("a user of etcd needs a password, and a password its user")
	}
	if o.LeaseTTL < minLeaseTTL || o.LeaseTTL%time.Second != 0 {
		invalid("the lease TTL %v is not a number of seconds", o.LeaseTTL)
	}
	for name, props := range o.Kinds {
		if name == "" || strings.Contains(name, "/") || props == nil {
			invalid("the kind %q has no props, or no name that goes before a slash", name)
		}
	}
	if o.MailboxSize < 1 || o.MailboxSize > maxMailboxSize {
		invalid("the mailbox size %d is not in 1..%d", o.MailboxSize, maxMailboxSize)
	}
	if o.RequestTimeout < 0 || o.StartTimeout < 0 || o.WatchDelay < 0 {
		invalid("a negative duration")
	}
	return errors.Join(errs...)
}
