// Package app joins the parts to a server: Start brings them up one after the other, Stop ends them in the reverse
// order. It is the only package that knows all of them, and it holds no rule of any.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/actors"
	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/audit"
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/internal/config"
	"github.com/latchkey/latchkey/internal/ops"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/named"
	"github.com/latchkey/latchkey/tenant"
	"github.com/latchkey/latchkey/transport"
)

// etcdFolder is in the data folder, next to the journal and the hash of the super key.
const etcdFolder = "etcd"

// Options are what a server is started with.
type Options struct {
	Config   config.Server
	SuperKey string // the operator's; used unless the configuration names a file
	// EtcdPassword is that of the configured user of etcd, unless the configuration names a file.
	EtcdPassword string
	Version      string
	Logger       *slog.Logger
	// Started is called by Run whenever the server serves; may be nil.
	Started func(*App)

	startedOver int // how often Run has started it anew
}

// App is a running server.
type App struct {
	options Options
	logger  *slog.Logger
	madeKey string // the super key, when this start made it and nobody has seen it yet

	registry *prometheus.Registry
	ops      *ops.Server
	journal  journal.Journal
	node     *cluster.Node
	http     *httpServer

	failed chan error // gets why the server cannot go on, once
	cause  error      // what Wait has said of that
	stops  []func(context.Context) error
	stop   sync.Once
}

// errLost is why a server starts over.
var errLost = errors.New("the cluster took this node for dead")

// Run serves until ctx ends, which is no error. A node that the cluster gave up is started again under a new identity, on the
// same addresses; any other failure ends the run.
func Run(ctx context.Context, o Options) error {
	for {
		a, err := Start(ctx, o)
		if err != nil && ctx.Err() != nil {
			return nil // told to stop before it was up
		}
		if err != nil {
			return err
		}
		if o.Started != nil {
			o.Started(a)
		}
		cause := a.Wait(ctx)
		err = a.Stop()
		if !errors.Is(cause, errLost) {
			return errors.Join(cause, err)
		}
		// A node without membership cannot leave in good order. If that should be in the way, the next start says so.
		o.Logger.Warn("starting over with a new identity", "cause", cause, "stopped", err)
		o.Config.HTTPAddr, o.Config.OpsAddr = a.http.addr(), a.ops.Addr()
		o.startedOver++
	}
}

// Start brings a server up. What it started is stopped again when a later step fails.
func Start(ctx context.Context, o Options) (_ *App, err error) {
	a := &App{options: o, logger: o.Logger, registry: ops.NewRegistry(o.Version), failed: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Stop())
		}
	}()
	a.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "latchkey_app_started_over_total",
		Help: "How often the server has started anew because the cluster took it for dead. All other counters begin at zero then.",
	}, func() float64 { return float64(o.startedOver) }))
	c := o.Config
	if err := os.MkdirAll(c.DataDir, privateFolder); err != nil {
		return nil, fmt.Errorf("--data-dir: %w", err)
	}

	// The operator's address comes first and goes last, so that a slow start and a drain can be watched.
	a.ops, err = ops.Start(ops.Options{Addr: c.OpsAddr, Registry: a.registry, Logger: a.logger})
	if err != nil {
		return nil, fmt.Errorf("--ops-addr: %w", err)
	}
	a.onStop(a.ops.Stop)
	if !a.ops.Private() {
		a.logger.Warn("the operator's address is open to other machines, and asks nobody for credentials: keep strangers from it, for it has metrics and profiles",
			"ops", a.ops.Addr())
	}

	if wide := c.WideProxies(); len(wide) > 0 {
		a.logger.Warn("every machine of these networks is believed in what it says of its callers' addresses, by which wrong PINs and keys are counted: name the proxies one by one in --trusted-proxies, as in 10.0.0.5/32",
			"networks", wide)
	}

	// What a wrong flag or file would stop later is looked at before the others hear of this node.
	tokens, err := tokenOptions(c)
	if err != nil {
		return nil, err
	}
	if a.http, err = startHTTP(c, a.logger, newCallers(openFiles(), availableMemory("/"), a.registry), a.fail); err != nil {
		return nil, err
	}
	a.onStop(a.http.stop) // of a start that fails; a server that has served has stopped it before
	if err := a.http.cert.observe(a.registry); err != nil {
		return nil, err
	}

	store, err := a.awaitJournal(ctx)
	if err != nil {
		return nil, err
	}
	a.journal = store
	a.onStop(func(ctx context.Context) error { return a.closeJournal(ctx, store) })
	if err := a.recordsAreThere(ctx); err != nil {
		return nil, err
	}
	a.ops.Watch(ops.Check{Name: "journal", Probe: store.Healthy})

	superKeyHash, madeKey, err := superKey(c.DataDir, c.SuperKeyFile, o.SuperKey)
	if err != nil {
		return nil, err
	}
	a.madeKey = madeKey
	if len(c.EtcdEndpoints) > 0 && c.SuperKeyFile == "" && o.SuperKey == "" {
		a.logger.Warn("this server has a super key of its own, which the others do not take: give all of them the same --super-key-file")
	}
	keys, err := tenant.New(tenant.Options{Journal: store, Registerer: a.registry})
	if err != nil {
		return nil, err
	}

	users, err := directory.New(directory.Options{Journal: store})
	if err != nil {
		return nil, err
	}

	// The grains can run before the node that places them, and are called by it; they find each other in Join.
	locks, err := actors.New(actors.Options{Journal: store, Logger: a.logger, Registerer: a.registry})
	if err != nil {
		return nil, err
	}
	a.onStop(func(ctx context.Context) error { return a.endsIn(ctx, "locks", waits(locks.Close)) })
	doors, err := a.collectiveKeys(ctx, locks)
	if err != nil {
		return nil, err
	}
	routes, err := api.New(api.Options{
		Locks: apiLocks{locks}, APIKeys: keys, Collective: doors, History: audit.New(store), Users: apiUsers{users}, Names: apiNames{named.NewNames(store, nil)}, SuperKeyHash: superKeyHash, Tokens: tokens,
		PublicURL: c.PublicURL, TrustedProxies: c.TrustedProxies, Rates: rates(c), Logger: a.logger, Registerer: a.registry,
	})
	if err != nil {
		return nil, err
	}
	a.onStop(func(context.Context) error { routes.Close(); return nil })
	if err := a.startNode(ctx, locks); err != nil {
		return nil, err
	}

	devices := maxSessions(openFiles())
	if devices < transport.DefaultMaxSessions {
		a.logger.Info("not all the devices that one server can have fit into its limit of open files: raise it (ulimit -n) if there will be more", "devices", devices, "open_files", openFiles())
	}
	hub, err := transport.New(transport.Options{
		Grains: locks, Strangers: routes.Strangers(), Node: a.node.ID(), MaxSessions: devices, Logger: a.logger, Registerer: a.registry,
	})
	if err != nil {
		return nil, err
	}
	a.onStop(func(ctx context.Context) error {
		half, cancel := halfOf(ctx)
		defer cancel()
		if err := hub.Drain(half); err != nil {
			a.logger.Warn("devices are cut off that did not leave in time", "error", err)
		}
		return a.endsIn(ctx, "devices", waits(hub.Close))
	})
	locks.Join(a.node, a.node.ID(), hub)
	// Grains move when members come and go; the sessions tell the new ones where they are.
	unfollow := a.node.Follow(func() {
		locks.MembersChanged()
		hub.Keep()
	}, locks.ConnectionLost)
	a.onStop(func(context.Context) error { unfollow(); return nil })

	a.sweep(doors)
	a.http.open(withDevices(hub, routes), hub.Connected)
	a.onStop(a.http.stop)

	a.ops.Ready()
	a.onStop(func(ctx context.Context) error {
		a.ops.Drain()
		a.http.leave(ctx, c.DrainDelay)
		return nil
	})
	a.logger.Info("serving", "http", a.URL(), "ops", "http://"+a.ops.Addr(), "version", o.Version)
	return a, nil
}

// Wait returns nil when ctx ends, and otherwise why the server cannot go on.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		a.logger.Info("stopping", "cause", context.Cause(ctx))
		return nil
	case <-a.node.Lost():
		return errLost
	case a.cause = <-a.failed:
		return a.cause
	}
}

// Stop drains the server and ends it, within the time that the configuration allows.
func (a *App) Stop() (err error) {
	a.stop.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), a.options.Config.DrainTimeout)
		defer cancel()
		start := time.Now()
		for i := len(a.stops) - 1; i >= 0; i-- {
			err = errors.Join(err, a.stops[i](ctx))
		}
		a.logger.Info("stopped", "after", time.Since(start).Round(time.Millisecond))
	})
	return err
}

// onStop adds a step to the beginning of Stop.
func (a *App) onStop(step func(context.Context) error) { a.stops = append(a.stops, step) }

// fail ends Wait. Only the first reason counts.
func (a *App) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// URL is the base of the API as it is reached from this machine, OpsURL that of metrics and health.
func (a *App) URL() string    { return a.http.url() }
func (a *App) OpsURL() string { return "http://" + reachable(a.ops.Addr()) }

// tokenOptions reads what verifies users' tokens.
func tokenOptions(c config.Server) (api.TokenOptions, error) {
	t := api.TokenOptions{JWKS: c.JWTJWKS, Issuer: c.JWTIssuer, Audience: c.JWTAudience}
	if c.JWTHS256SecretFile != "" {
		secret, err := os.ReadFile(c.JWTHS256SecretFile)
		if err != nil {
			return t, fmt.Errorf("--jwt-hs256-secret-file: %w", err)
		}
		t.HS256Secret = []byte(strings.TrimRight(string(secret), "\r\n"))
	}
	return t, nil
}

// rates turns requests a second into token buckets.
func rates(c config.Server) api.Rates {
	bucket := func(perSecond, burst int) api.Rate {
		return api.Rate{PerSecond: float64(perSecond), Burst: perSecond * burst}
	}
	return api.Rates{Caller: bucket(c.RatePerCaller, 2), Address: bucket(c.RatePerAddress, 10), Target: bucket(c.RatePerTarget, 5)}
}
