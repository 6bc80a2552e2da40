package app

import (
	"container/list"
	"crypto/tls"
	"math"
	"net"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	// callerMemory is what a request, and a connection without one, may take of the server's memory, whatever its caller does: stacks,
	// buffers, a head of 16 KiB or a guest's body, and what waits for the garbage collector. Callers may take a quarter of what there is.
	callerMemory = 64 << 10
	callerShare  = 4
	// leastCallers are let in however little there is.
	leastCallers = 64
	// sendBuffer is what the kernel keeps of an answer that its caller does not read. Left alone it keeps some megabytes, which
	// count as ours wherever memory is counted, and stay for minutes when the server has given such a caller up.
	sendBuffer = 128 << 10
)

// callers bounds the connections that are no devices'. When there is one too many, the one that has waited longest without
// having anything done is closed: who holds connections and says nothing, says it byte by byte, or does not read what is
// answered, makes room for who comes to ask. A connection whose request is being carried out is never closed.
type callers struct {
	memory int // how much may be there for the memory's sake, in callerMemory
	files  int // how many there may be together with the devices
	shed   prometheus.Counter

	mu      sync.Mutex           // guards what follows
	devices func() int           // nil until there are any
	all     map[net.Conn]*caller // with their places in line
	weight  int                  // of all
	line    *list.List           // of *caller: those that wait, the one that has waited longest first, and after asked the others
	asked   *list.Element        // those behind it have a request that is being carried out
}

// caller is a connection.
type caller struct {
	conn    net.Conn
	place   *list.Element
	weight  int // in callerMemory: 1, or with HTTP/2 one for each request that it may have
	running int // requests that are being carried out
}

func newCallers(files uint64, memory int64, r prometheus.Registerer) *callers {
	c := &callers{memory: math.MaxInt, files: maxSessions(files), all: make(map[net.Conn]*caller), line: list.New()}
	c.asked = c.line.PushBack(nil)
	if memory > 0 {
		c.memory = int(memory / callerShare / callerMemory)
	}
	f := promauto.With(r)
	c.shed = f.NewCounter(prometheus.CounterOpts{
		Name: "latchkey_app_connections_shed_total", Help: "Connections that were closed to make room, while no request of theirs was being carried out.",
	})
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "latchkey_app_connections", Help: "Connections to the address of the API that are no devices'.",
	}, func() float64 {
		c.mu.Lock()
		defer c.mu.Unlock()
		return float64(len(c.all))
	})
	return c
}

// beside counts the files that devices have, from now on.
func (c *callers) beside(devices func() int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.devices = devices
}

// changed is the ConnState of the HTTP server.
func (c *callers) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		connected.Add(1)
		if tcp, ok := socketOf(conn).(*net.TCPConn); ok {
			_ = tcp.SetWriteBuffer(sendBuffer) // without it the connection works as well
		}
	case http.StateClosed:
		connected.Add(-1)
	default:
	}
	for _, tooMany := range c.note(conn, state) {
		c.shed.Inc()
		_ = socketOf(tooMany).Close() // a goodbye of TLS could wait for the caller
	}
}

// note keeps account, and gives the connections that have to go.
func (c *callers) note(conn net.Conn, state http.ConnState) (tooMany []net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.all[conn]
	switch {
	case state == http.StateNew:
		known = &caller{conn: conn, weight: 1}
		known.place = c.line.InsertBefore(known, c.asked)
		c.all[conn] = known
		c.weight++
	case known == nil, state == http.StateIdle: // it has just been told to go, or has nothing more to ask
		return nil
	case state == http.StateActive:
		if known.weight > 1 || !isHTTP2(conn) {
			return nil
		}
		known.weight = maxStreams
		c.weight += maxStreams - 1
	default: // it has gone, or has become a device's
		c.forget(known)
		return nil
	}
	for files, memory := c.most(); len(c.all) > files || c.weight > memory; {
		longest := c.line.Front()
		if longest == c.asked {
			break // all the others are being served
		}
		tooMany = append(tooMany, longest.Value.(*caller).conn) // the one that came now at least
		c.forget(longest.Value.(*caller))
	}
	return tooMany
}

// begin notes that a request of a connection is being carried out, and rest that it is not any more, or that its caller has taken
// something of the answer: whoever rests is the last in line.
func (c *callers) begin(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.all[conn]; known != nil {
		known.running++
		c.line.MoveAfter(known.place, c.asked)
	}
}

func (c *callers) rest(conn net.Conn, begun bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.all[conn]
	if known == nil {
		return
	}
	if begun {
		known.running--
	}
	if known.running == 0 {
		c.line.MoveBefore(known.place, c.asked)
	}
}

// forget takes a connection out of the account. The mutex is held.
func (c *callers) forget(known *caller) {
	c.line.Remove(known.place)
	delete(c.all, known.conn)
	c.weight -= known.weight
}

// most is how many there may be, and of what weight. The mutex is held.
func (c *callers) most() (files, memory int) {
	files = c.files
	if c.devices != nil {
		files -= c.devices()
	}
	return max(files, leastCallers), max(c.memory, leastCallers)
}

func isHTTP2(conn net.Conn) bool {
	secure, ok := conn.(*tls.Conn)
	return ok && secure.ConnectionState().NegotiatedProtocol == "h2"
}

// socketOf gives the connection below TLS.
func socketOf(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}
