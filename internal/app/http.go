package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/internal/config"
)

const (
	readHeaderTimeout = 5 * time.Second
	// The body of a request that is refused unread is still awaited before the connection's next request, and only this ends
	// that: without it, whoever sends half a body keeps a connection for ever. It is longer than any operation takes, since the
	// server also reads to notice callers that leave; and WebSockets do not have it.
	readTimeout    = 15 * time.Second
	writeTimeout   = 30 * time.Second // of a whole answer; WebSockets leave the HTTP server and keep their own time
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
	// Of HTTP/2, where a connection has many requests: so many at a time, each of which counts as a connection would, and so much
	// that was received and not read.
	maxStreams    = 32
	receiveBuffer = 128 << 10
)

// withDevices puts the devices' address beside the API. A mux sees only paths that begin like it: a mux redirects paths
// that are not clean, and the API answers these itself.
func withDevices(devices, routes http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/devices/{lockUuid}/connect", devices)
	mux.Handle("/", routes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/devices/") {
			mux.ServeHTTP(w, r)
			return
		}
		routes.ServeHTTP(w, r)
	})
}

// httpServer is the address for guests, platforms and devices.
type httpServer struct {
	server   *http.Server
	leaving  atomic.Bool // each answer is the last one on its connection
	listener net.Listener
	cert     *certificate // nil: plain HTTP
	logger   *slog.Logger
	handler  atomic.Pointer[http.Handler] // nil until open
	callers  *callers
	served   chan struct{} // closed when the goroutine of startHTTP ended
}

// startHTTP listens, and serves until stop: until open gives it something else, that the server is starting. So a wrong flag
// is found before the node joins the others. A server that ends by itself tells fail.
func startHTTP(c config.Server, logger *slog.Logger, bound *callers, fail func(error)) (*httpServer, error) {
	cert, err := openCertificate(c, logger)
	if err != nil {
		return nil, err
	}
	s := &httpServer{cert: cert, logger: logger, callers: bound, served: make(chan struct{})}
	s.server = &http.Server{
		Handler:           bound.watch(s.lastAnswers(http.HandlerFunc(s.answer))),
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          errorLog(logger),
		ConnState:         bound.changed,
		ConnContext:       withCaller,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerConnection: receiveBuffer, MaxReceiveBufferPerStream: receiveBuffer / 2},
	}
	if cert != nil {
		s.server.TLSConfig = &tls.Config{GetConfigForClient: cert.current, MinVersion: tls.VersionTLS12}
	}
	if s.listener, err = net.Listen("tcp", c.HTTPAddr); err != nil {
		return nil, fmt.Errorf("--http-addr: %w", err)
	}
	go func() {
		defer close(s.served)
		if err := s.serve(); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("--http-addr: %w", err))
		}
	}()
	return s, nil
}

// open lets handler answer from now on. It has so many devices.
func (s *httpServer) open(handler http.Handler, devices func() int) {
	s.callers.beside(devices)
	s.handler.Store(&handler)
}

func (s *httpServer) answer(w http.ResponseWriter, r *http.Request) {
	if handler := s.handler.Load(); handler != nil {
		(*handler).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "The server is starting. Nothing was changed; send the request again in a moment.", http.StatusServiceUnavailable)
}

func (s *httpServer) serve() error {
	if s.cert != nil {
		return s.server.ServeTLS(s.listener, "", "")
	}
	return s.server.Serve(s.listener)
}

// lastAnswers tells clients that come during the drain to make their next request elsewhere. A client that finds its
// connection closed instead does not know whether its request was executed.
func (s *httpServer) lastAnswers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// leave prepares clients for stop, and gives them the time that it takes: those who ask /readyz to hear of it, and those who
// have a connection to learn, with their next answer, that it was the last one there.
func (s *httpServer) leave(ctx context.Context, delay time.Duration) {
	s.leaving.Store(true)
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// stop accepts no more connections and lets the requests in flight finish. Whoever is not done after half of the time that is
// left is cut off.
func (s *httpServer) stop(ctx context.Context) error {
	half, cancel := halfOf(ctx)
	defer cancel()
	err := s.server.Shutdown(half)
	if errors.Is(err, context.DeadlineExceeded) {
		s.logger.Warn("requests were cut off that took longer than the drain allows")
		err = s.server.Close()
	}
	<-s.served
	return err
}

// halfOf bounds a step of the stop by half of the time that is left: the steps that follow need some too.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, _ := ctx.Deadline()
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

func (s *httpServer) addr() string { return s.listener.Addr().String() }

func (s *httpServer) url() string {
	if s.cert != nil {
		return "https://" + reachable(s.addr())
	}
	return "http://" + reachable(s.addr())
}

// reachable turns an address that a server listens on into one that can be called from this machine: a server that listens
// on all addresses also does on loopback.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}
