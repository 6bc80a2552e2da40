// Package api is the HTTP side of Latchkey: it turns requests into commands of the kernel and replies into answers.
//
// openapi.yaml comes first. The routes and the bodies of requests are generated from it, and which credentials an
// operation takes is read from it at the start, so that an operation cannot be served without. No rule about
// locks lives here: what is checked here is whether a request is well-formed, and who makes it.
package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/internal/seldom"
	"github.com/latchkey/latchkey/lock"
)

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml openapi.yaml

// Locks is where the locks are: actors.Locks, which internal/app/join.go fits to this.
type Locks interface {
	// Do gives a lock a command and waits for the reply: for an open, until its outcome is known or a few seconds have passed.
	Do(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error)
	// FindTempKey tells which lock a temporary key belongs to; 0 when there is no such key.
	FindTempKey(ctx context.Context, key lock.TempKeyID) (lock.ID, error)
	// TempKeysBy lists up to limit temporary keys that somebody created, in the order of their UUIDs from the one after `after` on.
	TempKeysBy(ctx context.Context, creator string, after lock.TempKeyID, limit int) ([]KeyOfLock, error)
	// Events returns up to limit events of a lock from the version after `after` on, fewer where they are large, but one if there is any,
	// and how many there are in all.
	Events(ctx context.Context, id lock.ID, after uint64, limit int) (events []Event, total uint64, err error)
}

// Event is an event of a lock with its version.
type Event struct {
	Version uint64
	Event   lock.Event
}

// The defaults of Options.
const (
	DefaultOpenLifetime   = 5 * time.Second
	DefaultRequestTimeout = 10 * time.Second
)

const (
	guestHold   = 10 * time.Second // of a guest's open while the lock is offline
	secretGrace = 24 * time.Hour   // of the device secret before, unless the request names another
)

// Options are what the API is made of. Fields with a default may be left empty.
type Options struct {
	Locks        Locks
	APIKeys      APIKeys
	History      History
	Collective   *collective.Keys
	Users        Users
	Names        Names
	SuperKeyHash []byte       // SHA-256 of the operator's key
	Tokens       TokenOptions // empty: no tokens are taken

	PublicURL      string         // where guests reach this server; default: the host that the request names
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed, for the audit

	Rates Rates // zero: nobody is bounded

	OpenLifetime   time.Duration // of a command on its way to a device
	RequestTimeout time.Duration // of everything but the body

	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // default: time.Now
}

func (o *Options) validate() error {
	o.OpenLifetime = defaulted(o.OpenLifetime, DefaultOpenLifetime)
	o.RequestTimeout = defaulted(o.RequestTimeout, DefaultRequestTimeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := o.Rates.validate(); err != nil {
		return err
	}
	switch {
	case o.Locks == nil || o.APIKeys == nil || o.History == nil || o.Collective == nil || o.Users == nil || o.Names == nil || o.Logger == nil || o.Registerer == nil:
		return errors.New("api: Locks, APIKeys, History, Collective, Users, Names, Logger and Registerer are required")
	case len(o.SuperKeyHash) != sha256.Size:
		return errors.New("api: SuperKeyHash must be a SHA-256")
	case o.OpenLifetime < 0 || o.OpenLifetime > lock.MaxLifetime:
		return fmt.Errorf("api: OpenLifetime must be up to %s", lock.MaxLifetime)
	case o.RequestTimeout < o.OpenLifetime+time.Second:
		// A revocation waits for the opens that are on their way.
		return errors.New("api: RequestTimeout must be a second longer than OpenLifetime, or more")
	}
	return nil
}

func defaulted(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// API serves the routes of openapi.yaml.
type API struct{ server *server }

// ServeHTTP answers a request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.server.serve(w, r) }

// Close ends what runs in the background.
func (a *API) Close() { a.server.tokens.close() }

// server carries out the operations.
type server struct {
	Options
	publicURL *url.URL // nil: the host that the request names
	routes    routes
	spec      *spec
	metrics   *metrics
	tokens    *tokens
	limiter   limiter
	badKeys   seldom.Reasons
	newer     seldom.Reasons
	flights   flights
	bodies    bodies
	origins   *http.CrossOriginProtection
	exports   *places
	// operatorExports has the place that no organisation can take.
	operatorExports *places
}

// New makes the API.
func New(o Options) (*API, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &server{Options: o, origins: http.NewCrossOriginProtection(), bodies: newBodies(), exports: newPlaces(maxExports, maxOwnExports), operatorExports: newPlaces(1, 1)}
	var err error
	if s.spec, err = loadSpec(); err != nil {
		return nil, err
	}
	if o.PublicURL != "" {
		if s.publicURL, err = url.Parse(o.PublicURL); err != nil || s.publicURL.Host == "" {
			return nil, fmt.Errorf("api: PublicURL must look like https://keys.example.com, not %q", o.PublicURL)
		}
		if err := s.origins.AddTrustedOrigin(s.publicURL.Scheme + "://" + s.publicURL.Host); err != nil {
			return nil, fmt.Errorf("api: PublicURL: %w", err)
		}
	}
	if s.metrics, err = newMetrics(o.Registerer); err != nil {
		return nil, err
	}
	if s.tokens, err = newTokens(o.Tokens, o.Now, o.Logger); err != nil {
		return nil, err
	}

	if s.limiter, err = newLimiter(o.Rates); err != nil {
		return nil, err
	}

	router := chi.NewRouter()
	router.NotFound(s.notFound)
	router.MethodNotAllowed(s.methodNotAllowed)
	HandlerWithOptions(s, ChiServerOptions{
		BaseRouter:       router,
		Middlewares:      []MiddlewareFunc{s.guarded},
		ErrorHandlerFunc: s.badParameter,
	})
	if s.routes, err = newRoutes(router, s.spec); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	return &API{s}, nil
}
