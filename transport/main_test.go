package transport_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

func TestMain(m *testing.M) {
	if scheme := os.Getenv(serverProcess); scheme != "" {
		if err := serve(scheme); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	device  = lock.UUID("6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b")
	other   = lock.UUID("00000000-8b7a-4d4e-9a55-0c1d2e3f4a5b")
	secret  = "correct horse"
	lockID  = lock.ID(7)
	node    = "n1"
	patient = 10 * time.Second
)

// grains is a lock with one device, which keeps what it was told.
type grains struct {
	mu      sync.Mutex
	told    []lock.Command
	newest  lock.Session
	connect func(*lock.ConnectDevice) (lock.Reply, error) // nil: greets
	broken  error                                         // of every request
	gone    bool                                          // the secret was withdrawn
	home    string
	hub     *transport.Hub
}

func (g *grains) FindDevice(_ context.Context, u lock.UUID) (lock.ID, error) {
	if g.broken != nil {
		return 0, g.broken
	}
	if u != device {
		return 0, &lock.Error{Kind: lock.NotFound, Message: "no such device"}
	}
	return lockID, nil
}

func (g *grains) Do(_ context.Context, _ lock.ID, c lock.Command) (lock.Reply, error) {
	switch c := c.(type) {
	case *lock.AuthenticateDevice:
		g.mu.Lock()
		defer g.mu.Unlock()
		if c.Certified && c.UUID == device && !g.gone {
			return &lock.Done{}, nil
		}
		if want := sha256.Sum256([]byte(secret)); string(c.Hash) != string(want[:]) || g.gone {
			return nil, &lock.Error{Kind: lock.Unauthentic, Message: "wrong secret"}
		}
		return &lock.Done{}, nil
	case *lock.ConnectDevice:
		g.mu.Lock()
		older := g.newest
		g.newest = c.Device.Session
		g.mu.Unlock()
		if older.ID != 0 {
			g.hub.Send(lockID, &lock.CloseSession{Session: older, Cause: lock.CauseReplaced})
		}
		if g.connect != nil {
			return g.connect(c)
		}
		return &lock.Greeting{Epoch: 5, AckSeq: 9}, nil
	}
	return nil, &lock.Error{Kind: lock.Invalid, Message: "not expected"}
}

// withdraw makes the device's secret worth nothing.
func (g *grains) withdraw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = true
}

// move gives the lock another home, and tells the hub.
func (g *grains) move(home string) {
	g.mu.Lock()
	g.home = home
	g.mu.Unlock()
	g.hub.Keep()
}

func (g *grains) Home(lock.ID) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.home
}

func (g *grains) Tell(_ lock.ID, c lock.Command) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told = append(g.told, c)
}

// tellings gives what was told of one kind of command.
func tellings[C lock.Command](g *grains) (out []C) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.told {
		if c, ok := c.(C); ok {
			out = append(out, c)
		}
	}
	return out
}

// awaitTold waits for the first command of a kind.
func awaitTold[C lock.Command](t *testing.T, g *grains) C {
	t.Helper()
	require.Eventually(t, func() bool { return len(tellings[C](g)) > 0 }, patient, time.Millisecond)
	return tellings[C](g)[0]
}

// bench is a hub behind a real server.
type bench struct {
	*grains
	t        *testing.T
	registry *prometheus.Registry
	server   *httptest.Server
}

func newBench(t *testing.T, o transport.Options) *bench {
	t.Helper()
	b := &bench{grains: &grains{}, t: t, registry: prometheus.NewRegistry()}
	o.Grains, o.Node, o.Registerer = b.grains, node, b.registry
	hub, err := transport.New(o)
	require.NoError(t, err)
	b.hub = hub
	r := chi.NewRouter()
	r.Get("/devices/{lockUuid}/connect", hub.ServeHTTP)
	b.server = httptest.NewServer(r)
	t.Cleanup(func() {
		b.server.Close()
		hub.Close()
	})
	return b
}

func (b *bench) url(u lock.UUID) string {
	return "ws" + b.server.URL[len("http"):] + "/devices/" + string(u) + "/connect"
}

func credentials(user lock.UUID, password string) http.Header {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(string(user), password)
	return r.Header
}

// dial opens the device's socket, without a Hello.
func (b *bench) dial() *client {
	b.t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: patient}
	ws, resp, err := dialer.Dial(b.url(device), credentials(device, secret))
	require.NoError(b.t, err)
	require.NoError(b.t, resp.Body.Close())
	require.Equal(b.t, wire.Subprotocol, ws.Subprotocol())
	c := &client{t: b.t, ws: ws}
	b.t.Cleanup(func() { _ = ws.Close() })
	require.NoError(b.t, ws.SetReadDeadline(time.Now().Add(patient)))
	return c
}

// connect opens the device's socket and says Hello.
func (b *bench) connect() (*client, wire.HelloResult) {
	b.t.Helper()
	c := b.dial()
	c.call("h1", wire.ActionHello, &wire.Hello{BootID: "b7", Mono: 1000, Firmware: "1.4.2", Caps: []string{wire.CapDeadline, wire.CapJournal}})
	f := c.read()
	require.Equal(b.t, wire.Result, f.Kind)
	var result wire.HelloResult
	require.NoError(b.t, result.Parse(f.Payload))
	return c, result
}

// count gives a metric's value, summed over all labels or of the one label value that is named.
func (b *bench) count(name string, label ...string) float64 {
	families, err := b.registry.Gather()
	require.NoError(b.t, err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() != "latchkey_transport_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if len(label) == 0 || m.GetLabel()[0].GetValue() == label[0] {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func (b *bench) awaitCount(want float64, name string, label ...string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.count(name, label...) == want }, patient, time.Millisecond, "%s %v", name, label)
}

// client is the device's end of a socket.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func (c *client) write(text string) {
	c.t.Helper()
	require.NoError(c.t, c.ws.WriteMessage(websocket.TextMessage, []byte(text)))
}

func (c *client) call(id, action string, p wire.Payload) {
	c.t.Helper()
	c.write(string(wire.AppendCall(nil, id, action, p)))
}

func (c *client) read() wire.Frame {
	c.t.Helper()
	_, b, err := c.ws.ReadMessage()
	require.NoError(c.t, err)
	f, err := wire.ParseFrame(b)
	require.NoError(c.t, err, "%s", b)
	return f
}

// readOpen gives the next frame, which must be an Open.
func (c *client) readOpen() (id string, open wire.Open) {
	c.t.Helper()
	f := c.read()
	require.Equal(c.t, wire.ActionOpen, string(f.Action))
	require.NoError(c.t, open.Parse(f.Payload))
	return string(f.ID), open
}

// closed reads to the end of the session, which must be a close frame with the code, and no text frame before it.
func (c *client) closed(code int) (reason string) {
	c.t.Helper()
	_, b, err := c.ws.ReadMessage()
	var e *websocket.CloseError
	require.ErrorAs(c.t, err, &e, "%s", b)
	require.Equal(c.t, strconv.Itoa(code), strconv.Itoa(e.Code), e.Text)
	return e.Text
}

// request makes a plain HTTP request and gives its answer.
func (b *bench) request(path string, header http.Header) (int, http.Header, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.server.URL+path, nil)
	require.NoError(b.t, err)
	req.Header = header
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(b.t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	return resp.StatusCode, resp.Header, string(body)
}
