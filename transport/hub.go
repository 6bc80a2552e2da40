// Package transport holds the WebSockets of devices. It speaks latchkey.v1 (docs/protocol.md) with them, and hands what
// they say to the grains of their locks; what grains want of a device comes in as effects.
//
// A session is the socket and nothing else: no rule about locks lives here. It is small, because there are many: one
// goroutine that waits on the smallest stack, no buffer while nothing is said, and a goroutine that writes only while there
// is something to write. Whoever sends never waits for a device. A session belongs to the lock's grain, which decides which session of a
// device is the newest; the session goes when the socket goes.
package transport

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/latchkey/latchkey/internal/seldom"
	"github.com/latchkey/latchkey/internal/workers"
	"github.com/latchkey/latchkey/lock"
)

const shardCount = 64

// Hub holds all the sessions of a node.
type Hub struct {
	Options
	metrics    *metrics
	upgrader   websocket.Upgrader
	started    time.Time     // what elapsed counts from
	handshakes chan struct{} // holds one item for each handshake in progress
	connected  atomic.Int64
	draining   atomic.Bool
	keeps      atomic.Int64 // calls of Keep that wait for the goroutine that keeps
	shards     [shardCount]shard
	events     allowance
	arrivals   arrivals
	refused    seldom.Reasons
	known      *lru.Cache[proofHash, struct{}] // proofs that were good lately

	stop    chan struct{}
	workers *workers.Pool[*session]

	mu     sync.Mutex // guards closed, and that no goroutine starts after it was set
	closed bool
	wg     sync.WaitGroup
}

// shard holds the sessions whose number has the shard's low bits.
type shard struct {
	mu   sync.Mutex
	live map[uint64]*session
}

// New makes a hub. Close it in the end.
func New(o Options) (*Hub, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	h := &Hub{
		Options:    o,
		metrics:    newMetrics(o.Registerer),
		upgrader:   newUpgrader(),
		started:    time.Now(),
		handshakes: make(chan struct{}, maxHandshakes),
		stop:       make(chan struct{}),
	}
	var err error
	if h.known, err = lru.New[proofHash, struct{}](maxKnown); err != nil {
		return nil, err
	}
	h.workers = workers.New((*session).work, h.stop)
	for i := range h.shards {
		h.shards[i].live = make(map[uint64]*session)
	}
	h.spawn(h.sweep)
	return h, nil
}

// Send carries out an effect of a lock's grain. It never blocks, and must get each effect once: an open that cannot leave any
// more is refused towards its grain, with the proof that it never did.
func (h *Hub) Send(id lock.ID, e lock.Effect) {
	s := h.find(e.To())
	if s == nil {
		if _, done := e.(*lock.CloseSession); !done {
			h.tooLate(id, e)
		}
		return
	}
	switch e := e.(type) {
	case *lock.SendOpen, *lock.SendKey:
		s.command(e)
	case *lock.SendConfig:
		s.setConfig(e)
	case *lock.AskStatus:
		s.askStatus(e)
	case *lock.AckEvents:
		s.ackEvents(e)
	case *lock.CloseSession:
		s.closeFor(e.Cause)
	}
}

// tooLate is for an effect whose session has ended. A grain that sends one may have missed the end of the session.
func (h *Hub) tooLate(id lock.ID, e lock.Effect) {
	switch e.(type) {
	case *lock.SendOpen, *lock.SendKey:
		h.refuse(id, e, refusedEnded)
	default:
		h.metrics.unsent.WithLabelValues(unsentEnded).Inc()
	}
	h.Grains.Tell(id, &lock.DisconnectDevice{Session: e.To()})
}

// enter makes Close wait for a leave. After Close it reports false.
func (h *Hub) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.wg.Add(1)
	return true
}

func (h *Hub) leave() { h.wg.Done() }

// spawn starts a goroutine that Close waits for. After Close it starts none and reports false.
func (h *Hub) spawn(f func()) bool {
	if !h.enter() {
		return false
	}
	go func() {
		defer h.leave()
		f()
	}()
	return true
}

// elapsed is a time that only grows.
func (h *Hub) elapsed() time.Duration { return time.Since(h.started) }

func (h *Hub) shard(id uint64) *shard { return &h.shards[id%shardCount] }

// add makes a new socket a session and starts to read it.
func (h *Hub) add(conn net.Conn, id lock.ID, p proof) error {
	s := h.register(conn, id, p)
	if !h.enter() {
		h.remove(s)
		return errors.New("transport: the hub is closed")
	}
	go s.run() // and others after it, of which finish is the last
	return nil
}

// register gives a new socket a session with a number that no other has ever had, as good as certainly: it is random.
func (h *Hub) register(conn net.Conn, id lock.ID, p proof) *session {
	s := &session{hub: h, conn: conn, lock: id, proof: p, raw: rawOf(conn)}
	s.reader.conn = conn
	s.device.Session.Node = h.Node
	now := h.elapsed()
	s.heard.Store(int64(now))
	s.keepAt.Store(int64(now + h.nextKeep()))
	for s.device.Session.ID == 0 {
		n := rand.Uint64()
		sh := h.shard(n)
		sh.mu.Lock()
		if _, taken := sh.live[n]; n != 0 && !taken {
			s.device.Session.ID = n
			sh.live[n] = s
		}
		sh.mu.Unlock()
	}
	h.connected.Add(1)
	return s
}

// remove forgets a session.
func (h *Hub) remove(s *session) {
	id := s.device.Session.ID
	sh := h.shard(id)
	sh.mu.Lock()
	delete(sh.live, id)
	sh.mu.Unlock()
	h.connected.Add(-1)
}

// Connected is how many devices have a socket here, those that have not said Hello yet too.
func (h *Hub) Connected() int { return int(h.connected.Load()) }

// find gives a live session; nil when it has ended.
func (h *Hub) find(name lock.Session) *session {
	if name.Node != h.Node {
		return nil
	}
	sh := h.shard(name.ID)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.live[name.ID]
}

// each calls f for the sessions of now, a shard at a time and outside its mutex.
func (h *Hub) each(f func(*session)) {
	var all []*session
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.Lock()
		all = all[:0]
		for _, s := range sh.live {
			all = append(all, s)
		}
		sh.mu.Unlock()
		for _, s := range all {
			f(s)
		}
	}
}

// nextKeep spreads reminders around KeepEvery, so that they do not come in waves.
func (h *Hub) nextKeep() time.Duration { return h.KeepEvery/2 + rand.N(h.KeepEvery) }
