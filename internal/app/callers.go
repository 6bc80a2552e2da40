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
	// callerMemory is what the connection of a caller may take of the server's memory, whatever it does: stacks, buffers, a
	// head of 16 KiB or a guest's body, and what waits for the garbage collector. Connections may take a quarter of what there is.
	callerMemory = 64 << 10
	callerShare  = 4
	// leastCallers are let in however little there is.
	leastCallers = 64
	// sendBuffer is what the kernel keeps of an answer that its caller does not read. Left alone it keeps some megabytes, which
	// count as ours wherever memory is counted, and stay for minutes when the server has given such a caller up.
	sendBuffer = 128 << 10
)

// callers bounds the connections that are no devices'. When there is one too many, the one that has waited longest without
// asking for anything is closed: who holds connections and says nothing, or says it byte by byte, makes room for who comes to
// ask. A connection whose request is being answered is never closed.
type callers struct {
	memory int // how many may be there for the memory's sake
	files  int // how many there may be together with the devices
	shed   prometheus.Counter

	mu      sync.Mutex                 // guards what follows
	devices func() int                 // nil until there are any
	all     map[net.Conn]*list.Element // its place in line
	line    *list.List                 // of net.Conn: those that wait, the one that has waited longest first, and after asked the others
	asked   *list.Element              // those behind it have a request that is being answered
}

func newCallers(files uint64, memory int64, r prometheus.Registerer) *callers {
	c := &callers{memory: math.MaxInt, files: maxSessions(files), all: make(map[net.Conn]*list.Element), line: list.New()}
	c.asked = c.line.PushBack(nil)
	if memory > 0 {
		c.memory = int(memory / callerShare / callerMemory)
	}
	f := promauto.With(r)
	c.shed = f.NewCounter(prometheus.CounterOpts{
		Name: "latchkey_app_connections_shed_total", Help: "Connections that were closed to make room, while no request came on them.",
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
	if tooMany := c.note(conn, state); tooMany != nil {
		c.shed.Inc()
		_ = socketOf(tooMany).Close() // a goodbye of TLS could wait for the caller
	}
}

// note keeps account, and gives the connection that has to go.
func (c *callers) note(conn net.Conn, state http.ConnState) (tooMany net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	place, known := c.all[conn]
	switch {
	case state == http.StateNew:
		c.all[conn] = c.line.InsertBefore(conn, c.asked)
		if len(c.all) > c.most() {
			return c.forget(c.line.Front()) // the new one at least
		}
	case !known: // it has just been told to go
	case state == http.StateIdle:
		c.line.MoveBefore(place, c.asked)
	case state == http.StateActive:
		c.line.MoveAfter(place, c.asked)
	default: // it has gone, or has become a device's
		c.forget(place)
	}
	return nil
}

// forget takes a connection out of the account. The mutex is held.
func (c *callers) forget(place *list.Element) net.Conn {
	conn := c.line.Remove(place).(net.Conn)
	delete(c.all, conn)
	return conn
}

// most is how many there may be. The mutex is held.
func (c *callers) most() int {
	files := c.files
	if c.devices != nil {
		files -= c.devices()
	}
	return max(min(files, c.memory), leastCallers)
}

// socketOf gives the connection below TLS.
func socketOf(conn net.Conn) net.Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		return secure.NetConn()
	}
	return conn
}
