package transport

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

// Grains are the locks, as sessions see them.
type Grains interface {
	// FindDevice gives the lock that the device belongs to, or a lock.Error of kind NotFound.
	FindDevice(ctx context.Context, device lock.UUID) (lock.ID, error)
	// Do carries out a command and waits for its reply.
	Do(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error)
	// Tell hands over a command that nobody waits for. It never blocks.
	Tell(id lock.ID, c lock.Command)
	// Home names the node on which the lock's grain is now. Another one has not heard of the lock's session.
	Home(id lock.ID) string
}

// DefaultMaxSessions is how many devices a node takes when nothing else limits it.
const DefaultMaxSessions = 250_000

const (
	maxHandshakes = 512             // requests to connect that are looked at at once
	userTimeout   = 5 * time.Second // how long sent bytes may go unacknowledged: the usual lifetime of an open
)

// Options of a Hub. Zero fields have defaults, except Grains and Node.
type Options struct {
	Grains     Grains
	Strangers  Strangers // nil: they try as often as they like
	Node       string    // the member that the hub runs on, by which grains reach its sessions
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: the metrics are not registered

	MaxSessions int // devices on this node; more are sent away with 503

	HeartbeatEvery time.Duration // what devices are told to keep to
	HelloTimeout   time.Duration // from the handshake to the device's first frame
	RequestTimeout time.Duration // of one request to a grain
	WriteTimeout   time.Duration // of one write; a device that does not read for so long is cut off
	CloseTimeout   time.Duration // how long a device may take to answer a close frame
	KeepEvery      time.Duration // how often, about, a session reminds its grain of itself
}

func (o *Options) validate() error {
	if o.Grains == nil || o.Node == "" {
		return errors.New("transport: Grains and Node are required")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MaxSessions <= 0 {
		o.MaxSessions = DefaultMaxSessions
	}
	duration := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	duration(&o.HeartbeatEvery, wire.HeartbeatEvery)
	duration(&o.HelloTimeout, wire.HelloTimeout)
	duration(&o.RequestTimeout, 5*time.Second)
	duration(&o.WriteTimeout, 5*time.Second)
	duration(&o.CloseTimeout, 2*time.Second)
	duration(&o.KeepEvery, 10*time.Minute)
	return nil
}
