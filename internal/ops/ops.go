// Package ops is the second address of a server, for the operator alone: metrics, health and profiles. It listens on
// loopback unless told otherwise, because profiles and metrics are nobody else's business and ask for no credentials.
//
//	/metrics   Prometheus
//	/livez     200 while the process can answer: restart it when it cannot
//	/readyz    200 while it should get traffic, with the state of each dependency; 503 otherwise
//	/debug/pprof/
//
// It is the first thing to start and the last to stop, so that a start that hangs and a drain can be watched.
package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	probeTimeout      = 2 * time.Second
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = time.Minute
	writeTimeout      = 30 * time.Second // of an answer; pprof adds the seconds that a profile takes
	maxScrapes        = 4                // at once

	maxConnections    = 64
	maxProfiles       = 2   // at once
	maxProfileSeconds = 300 // the benchmark takes minutes
)

// Check looks at one dependency.
type Check struct {
	Name string
	// Probe returns nil while the dependency works. It gives up when its context ends; one that cannot, since it looks at a disk that
	// hangs, is told as down, and no other one of the check begins before it has ended.
	Probe func(context.Context) error
	// Optional dependencies are shown, but the server stays ready without them.
	Optional bool
}

// Options are what a Server needs.
type Options struct {
	Addr     string
	Registry *prometheus.Registry
	Logger   *slog.Logger
}

func (o Options) validate() error {
	if o.Addr == "" || o.Registry == nil || o.Logger == nil {
		return errors.New("ops: Addr, Registry and Logger are needed")
	}
	return nil
}

// Server answers on the second address.
type Server struct {
	options  Options
	http     *http.Server
	listener net.Listener
	served   chan struct{} // closed when the goroutine of Start ended
	phase    atomic.Int32

	mu     sync.Mutex // guards what follows
	checks []*check
}

// The phases of a server.
const (
	starting int32 = iota
	serving
	draining
)

// Start listens and serves until Stop.
func Start(o Options) (*Server, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, listener: listener, served: make(chan struct{})}
	if err := o.Registry.Register(health{s}); err != nil {
		return nil, errors.Join(fmt.Errorf("ops: %w", err), listener.Close())
	}
	s.http = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		ConnState:         newConnections().follow,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(s.served)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("the ops address stopped serving", "error", err)
		}
	}()
	return s, nil
}

// Addr is the address that it listens on.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Private tells whether only this machine reaches the address.
func (s *Server) Private() bool {
	addr, ok := s.listener.Addr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// Watch adds a dependency to /readyz.
func (s *Server) Watch(c Check) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, &check{Check: c})
}

// Ready ends the start: from now on /readyz is 200 while the dependencies work.
func (s *Server) Ready() { s.phase.Store(serving) }

// Drain makes /readyz answer 503 from now on, so that no new traffic is sent here.
func (s *Server) Drain() { s.phase.Store(draining) }

// Stop ends the server; what is being answered may finish until ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.served
	return err
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.options.Registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapes,
		EnableOpenMetrics:   true,
		ErrorLog:            slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelError),
	}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", s.readyz)
	brief := brief(make(chan struct{}, maxProfiles))
	mux.HandleFunc("GET /debug/pprof/", brief(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", brief(pprof.Profile))
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", brief(pprof.Trace))
	return mux
}

// brief refuses profiles that take longer than anybody needs, and more than fit into places: while one is taken the server is slower.
func brief(places chan struct{}) func(http.HandlerFunc) http.HandlerFunc {
	return func(profile http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			select {
			case places <- struct{}{}:
				defer func() { <-places }()
			default:
				http.Error(w, "Other profiles are being taken. Come back when they are done.", http.StatusServiceUnavailable)
				return
			}
			if seconds, err := strconv.ParseFloat(r.URL.Query().Get("seconds"), 64); err == nil && seconds > maxProfileSeconds {
				http.Error(w, fmt.Sprintf("A profile may take up to %d seconds.", maxProfileSeconds), http.StatusBadRequest)
				return
			}
			profile(w, r)
		}
	}
}

// The states of /readyz, of the server and of one dependency.
const (
	stateStarting = "starting"
	stateReady    = "ready"
	stateDegraded = "degraded" // ready, without an optional dependency
	stateUnready  = "unready"
	stateDraining = "draining"
	stateUp       = "up"
	stateDown     = "down"
)

type readiness struct {
	Status       string                `json:"status"`
	Dependencies map[string]dependency `json:"dependencies"`
}

// ready tells whether the server should get traffic.
func (r readiness) ready() bool { return r.Status == stateReady || r.Status == stateDegraded }

type dependency struct {
	Status   string `json:"status"`
	Optional bool   `json:"optional,omitempty"`
	Error    string `json:"error,omitempty"`
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	found := s.probe(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !found.ready() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// A client that went away is the only way in which this fails.
	_ = json.NewEncoder(w).Encode(found)
}

// probe asks all dependencies at once, so that it takes as long as the slowest of them and never longer than its timeout.
func (s *Server) probe(ctx context.Context) readiness {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout+probeGrace)
	defer cancel()
	s.mu.Lock()
	checks := slices.Clone(s.checks)
	s.mu.Unlock()
	probes := make([]*probe, len(checks))
	for i, c := range checks {
		probes[i] = c.begin()
	}

	found := readiness{Status: stateReady, Dependencies: make(map[string]dependency, len(checks))}
	for i, c := range checks {
		d := dependency{Status: stateUp, Optional: c.Optional}
		if err := probes[i].await(ctx); err != nil {
			d.Status, d.Error = stateDown, err.Error()
			switch {
			case !c.Optional:
				found.Status = stateUnready
			case found.Status == stateReady:
				found.Status = stateDegraded
			}
		}
		found.Dependencies[c.Name] = d
	}
	switch s.phase.Load() {
	case starting:
		found.Status = stateStarting
	case draining:
		found.Status = stateDraining
	}
	return found
}
