package sim_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

const (
	testUUID   = "0b1f6a52-5b0e-4c8e-8a53-0d1c2b3a4f5e"
	testSecret = "a secret"
	patience   = 10 * time.Second // how long a test waits for what must come
)

// server is the server's side of latchkey.v1 and no more: it greets, answers heartbeats, acknowledges events, and
// leaves the rest to the test.
type server struct {
	t    *testing.T
	http *httptest.Server

	mu       sync.Mutex // guards what follows
	greeting wire.HelloResult
	refuse   func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	deaf     bool                                              // answers no heartbeats
	keep     bool                                              // acknowledges no events
	stingy   bool                                              // answers all events, and takes none
	count    int
	secretOf func(uuid string) string // nil: testSecret

	sessions chan *session
}

// session is one socket of the server.
type session struct {
	s       *server
	ws      *websocket.Conn
	hello   wire.Hello
	name    string
	writing sync.Mutex
	calls   int
	frames  chan wire.Frame // answers of the device
	beats   chan int64
	events  chan wire.Event
	raw     chan []byte // what was no frame
	ended   chan struct{}
}

func newServer(t *testing.T) *server {
	s := &server{t: t, sessions: make(chan *session, 64), greeting: wire.HelloResult{Epoch: 100, HeartbeatMs: 60_000}}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.http.Close)
	return s
}

func (s *server) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	refuse := s.refuse
	s.mu.Unlock()
	if refuse != nil && refuse(w, r) {
		return
	}
	user, secret, _ := r.BasicAuth()
	want := testSecret
	if s.secretOf != nil {
		want = s.secretOf(user)
	}
	if secret != want || r.URL.Path != "/devices/"+user+"/connect" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	up := websocket.Upgrader{Subprotocols: []string{wire.Subprotocol}}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &session{
		s: s, ws: ws, frames: make(chan wire.Frame, 64), beats: make(chan int64, 64), events: make(chan wire.Event, 256),
		raw: make(chan []byte, 64), ended: make(chan struct{}),
	}
	defer close(c.ended)
	defer ws.Close()
	for {
		_, msg, err := ws.ReadMessage()
		if err != nil {
			return
		}
		f, err := wire.ParseFrame(msg)
		if err != nil {
			c.raw <- msg
			continue
		}
		c.take(f)
	}
}

func (c *session) take(f wire.Frame) {
	s, id := c.s, string(f.ID)
	if f.Kind != wire.Call {
		c.frames <- f
		return
	}
	switch string(f.Action) {
	case wire.ActionHello:
		if c.hello.Parse(f.Payload) != nil {
			c.raw <- f.Payload
			return
		}
		s.mu.Lock()
		s.count++
		g := s.greeting
		g.Session = fmt.Sprintf("s%d", s.count)
		s.mu.Unlock()
		c.name = g.Session
		c.send(wire.AppendResult(nil, id, &g))
		s.sessions <- c
	case wire.ActionHeartbeat:
		var h wire.Heartbeat
		if h.Parse(f.Payload) != nil {
			c.raw <- f.Payload
			return
		}
		c.beats <- h.Mono
		s.mu.Lock()
		deaf := s.deaf
		s.mu.Unlock()
		if !deaf {
			c.send(wire.AppendResult(nil, id, wire.Empty{}))
		}
	case wire.ActionEvents:
		var e wire.Events
		if e.Parse(f.Payload) != nil {
			c.raw <- f.Payload
			return
		}
		for _, item := range e.Items {
			c.events <- item
		}
		s.mu.Lock()
		keep := s.keep
		if !keep && !s.stingy {
			s.greeting.AckSeq = e.Items[len(e.Items)-1].Seq
		}
		ack := wire.Ack{AckSeq: s.greeting.AckSeq}
		s.mu.Unlock()
		if !keep {
			c.send(wire.AppendResult(nil, id, &ack))
		}
	default:
		c.raw <- f.Payload
	}
}

func (c *session) send(frame []byte) { _ = c.write(frame) }

func (c *session) write(frame []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.ws.WriteMessage(websocket.TextMessage, frame)
}

func (c *session) close(code int, reason string) {
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
}

// next is the session of the next device that connects.
func (s *server) next() *session {
	s.t.Helper()
	return recv(s.t, s.sessions)
}

// joined is the session of the device's next connect, once the device knows of it too.
func (s *server) joined(d *sim.Device) *session {
	s.t.Helper()
	c := s.next()
	require.Eventually(s.t, func() bool { return d.Session() == c.name }, patience, time.Millisecond)
	return c
}

// device makes a device of the server, switched on.
func (s *server) device(o sim.DeviceOptions) *sim.Device {
	s.t.Helper()
	if o.Servers == nil {
		o.Servers = []string{s.http.URL}
	}
	if o.Backoff == (sim.Backoff{}) {
		o.Backoff = sim.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond, Rejected: time.Hour, Replaced: time.Hour}
	}
	if o.BootTime == 0 {
		o.BootTime = time.Millisecond
	}
	if o.EventsEvery == 0 {
		o.EventsEvery = time.Millisecond
	}
	if o.Drift == (sim.Drift{}) {
		o.Drift.Offset = time.Second // so that 0 is in the past
	}
	d, err := sim.NewDevice(sim.Credential{LockID: 7, LockUUID: testUUID, Secret: testSecret}, o)
	require.NoError(s.t, err)
	s.t.Cleanup(d.Stop)
	d.Start()
	return d
}

// order is an Open that a good server would send now, for 5 s.
func (c *session) order(commandID string) wire.Open {
	return wire.Open{
		CommandID: commandID, Session: c.name, Epoch: 101, BootID: c.hello.BootID, NotAfterMono: c.hello.Mono + 5000, PulseMs: 20,
	}
}

// post sends a call and does not wait for the answer.
func (c *session) post(action string, p wire.Payload) string {
	c.calls++
	id := fmt.Sprintf("m%d", c.calls)
	c.send(wire.AppendCall(nil, id, action, p))
	return id
}

// open sends an Open and gives its answer as text: "opened", or the code and what was executed.
func (c *session) open(p wire.Open) string {
	c.s.t.Helper()
	id := c.post(wire.ActionOpen, &p)
	return c.answer(id, p.CommandID)
}

func (c *session) answer(id, commandID string) string {
	t := c.s.t
	t.Helper()
	f := recv(t, c.frames)
	require.Equal(t, id, string(f.ID))
	if f.Kind == wire.Error {
		var d wire.Details
		require.NoError(t, d.Parse(f.Details))
		require.Equal(t, commandID, d.CommandID)
		return string(f.Code) + " " + [...]string{"unknown", "false", "true"}[d.Executed]
	}
	var r wire.OpenResult
	require.NoError(t, r.Parse(f.Payload))
	require.Equal(t, commandID, r.CommandID)
	require.Equal(t, "unlocked", r.Bolt)
	return wire.OutcomeOpened
}

// status asks what became of a command.
func (c *session) status(commandID string) string {
	t := c.s.t
	t.Helper()
	id := c.post(wire.ActionCommandStatus, &wire.CommandStatus{CommandIDs: []string{commandID}})
	f := recv(t, c.frames)
	require.Equal(t, id, string(f.ID))
	require.Equal(t, wire.Result, f.Kind, "%s", f.Code)
	var s wire.Statuses
	require.NoError(t, s.Parse(f.Payload))
	return s[commandID]
}

// sees waits until the events so far, as type=value, end with those wanted.
func (c *session) sees(want ...string) {
	t := c.s.t
	t.Helper()
	var got []string
	for {
		if n := len(got) - len(want); n >= 0 && strings.Join(got[n:], " ") == strings.Join(want, " ") {
			return
		}
		select {
		case e := <-c.events:
			got = append(got, e.Type+"="+e.Value)
		case <-time.After(patience):
			require.Fail(t, "events did not come", "want %v, got %v", want, got)
		}
	}
}

// seesAmong waits for one event, whatever comes before it.
func (c *session) seesAmong(want string) {
	c.s.t.Helper()
	for e := recv(c.s.t, c.events); e.Type+"="+e.Value != want; {
		e = recv(c.s.t, c.events)
	}
}

func recv[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
