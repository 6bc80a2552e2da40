package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/internal/planted"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

// phase is how far a session has come. It only grows.
type phase uint8

const (
	fresh   phase = iota // Hello has not come, or is being answered: effects wait
	live                 // greeted
	closing              // a close frame is the last thing that is written
	over                 // the socket is closed
)

// The causes of ends that have no close code of ours.
const (
	causePeer    = "peer"    // the device closed
	causeGone    = "gone"    // the socket broke
	causeSlow    = "slow"    // the device did not read
	causeReset   = "reset"   // a deadline was missed
	causeStopped = "stopped" // the hub was closed
)

// session is the socket of one device.
type session struct {
	hub  *Hub
	conn net.Conn
	raw  syscall.RawConn // for writes that must not wait; nil: the socket has none, as under TLS
	lock lock.ID

	proof proof // of who the device is

	heard  atomic.Int64 // Hub.elapsed when the last frame came in
	keepAt atomic.Int64 // Hub.elapsed when the sweeper reminds the grain

	// What follows belongs to the goroutine that reads, or that waits to.
	reader frameReader
	rate   limiter
	strays int

	mu        sync.Mutex // guards all that follows; device.Session is set before anybody else sees it
	device    lock.Device
	phase     phase
	told      bool   // the grain knows of the session
	home      string // the node of the grain that was told last
	moved     bool   // the lock has another home since, which is to be told
	writing   bool   // a goroutine is in flush, or has written the last frame
	deadline  bool   // the socket has a write deadline; whoever is writing sets it
	cause     string
	out       *buffer       // frames that wait
	commands  []lock.Effect // *lock.SendOpen and *lock.SendKey that wait
	inFlight  int           // bytes that are being written
	calls     []call        // that wait for the device's answer
	lastCall  uint64
	forgotten int    // of the calls, and not answered yet
	reported  uint64 // seq of the last event that was handed to the grain
}

// closed is the error that ends a session with a close code.
type closed struct {
	code   int
	reason string
}

func (c *closed) Error() string { return strconv.Itoa(c.code) + " " + c.reason }

func badFrame(reason string) error { return &closed{wire.CloseBadFrame, reason} }

// errReplaced ends a session that is not its device's newest.
var errReplaced = &closed{wire.CloseReplaced, "a newer connection of this device took over"}

var (
	errPeerClosed = errors.New("the device closed the session")
	errClosing    = errors.New("the session is being closed")
)

// run greets the device, and reads the socket until its end.
func (s *session) run() {
	err := s.hello()
	s.hub.arrivals.leave(s.lock)
	s.carryOn(err)
}

// finish says goodbye, if there is anybody to say it to.
func (s *session) finish(err error) {
	defer s.hub.leave()
	s.reader.free()
	var c *closed
	switch {
	case errors.As(err, &c):
		s.close(c.code, c.reason, true)
		s.discard()
	case errors.Is(err, errPeerClosed):
		s.close(closeNormal, "", true)
	case errors.Is(err, errClosing):
		s.discard()
	}
	s.end()
}

const (
	closeNormal = 1000
	maxDiscard  = 2 << 20 // bytes that a device may send after the close frame
)

// discard reads what the device is still sending, so that the close frame is not lost: a socket that is closed with
// unread bytes in it is reset, and takes what was not delivered with it.
func (s *session) discard() {
	_ = s.conn.SetReadDeadline(time.Now().Add(s.hub.CloseTimeout))
	_, _ = io.CopyN(io.Discard, s.conn, maxDiscard)
}

// end closes the socket and tells the grain.
func (s *session) end() {
	s.mu.Lock()
	s.phase = over
	if s.cause == "" {
		s.cause = causeGone
	}
	cause, told, commands, calls := s.cause, s.told, s.commands, s.calls
	s.commands, s.calls = nil, nil
	if s.out != nil {
		putBuffer(s.out)
		s.out = nil
	}
	s.mu.Unlock()

	_ = s.conn.Close()
	s.hub.remove(s)
	for _, e := range commands {
		s.hub.refuse(s.lock, e, refusedEnded)
	}
	for _, c := range calls {
		if c.command != "" && !c.key && planted.Has(planted.RefundUnknown) {
			s.hub.refuse(s.lock, &lock.SendOpen{Session: s.device.Session, CommandID: c.command}, refusedEnded)
		}
	}
	if told {
		s.hub.Grains.Tell(s.lock, &lock.DisconnectDevice{Session: s.device.Session})
		s.hub.metrics.sessions.Dec()
	}
	s.hub.metrics.closes.WithLabelValues(cause).Inc()
	s.hub.Logger.Debug("device session ended", "lock", s.lock, "session", s.device.Session.ID, "cause", cause)
}

// close makes a close frame the last thing that the device gets. What has not been written yet is dropped.
// The goroutine that reads writes it itself (here).
func (s *session) close(code int, reason string, here bool) {
	s.mu.Lock()
	if s.phase >= closing {
		s.mu.Unlock()
		return
	}
	s.phase = closing
	s.cause = strconv.Itoa(code)
	if code == closeNormal {
		s.cause = causePeer
	}
	commands := s.commands
	s.commands = nil
	if s.out == nil {
		s.out = getBuffer()
	}
	payload := append([]byte{byte(code >> 8), byte(code)}, reason...)
	s.out.b = appendFrame(s.out.b[:0], opClose, payload[:min(len(payload), maxControlSize)])
	start := !s.writing
	s.writing = true
	s.mu.Unlock()

	for _, e := range commands {
		s.hub.refuse(s.lock, e, refusedEnded)
	}
	if start {
		s.startFlush(here)
	}
}

// closeFor ends the session as its grain wants it. A device whose secret was withdrawn learns that when it comes back.
func (s *session) closeFor(cause lock.CloseCause) {
	if cause == lock.CauseReplaced {
		s.close(errReplaced.code, errReplaced.reason, false)
		return
	}
	s.doom(causeReset)
	s.hub.spawn(s.reset)
}

// doom lets nothing more be queued. It reports false when that was so already.
func (s *session) doom(cause string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase >= closing {
		return false
	}
	s.phase, s.cause = closing, cause
	return true
}

// cutOff ends a session whose device does not read.
func (s *session) cutOff() {
	if s.doom(causeSlow) {
		s.hub.metrics.slow.Inc()
	}
	s.hub.spawn(s.reset)
}

// reset drops the connection: bytes that the device has not got die with it. The goroutine that reads ends the session.
func (s *session) reset() {
	if tcp := tcpOf(s.conn); tcp != nil {
		_ = tcp.SetLinger(0)
		_ = tcp.Close() // under TLS too: a goodbye would wait for the device
		return
	}
	_ = s.conn.Close()
}

// read gives the next text message. It answers pings, and counts every frame.
func (s *session) read() ([]byte, error) {
	for {
		op, payload, err := s.reader.next()
		if errors.Is(err, errFrame) {
			return nil, badFrame(err.Error())
		}
		if err != nil {
			return nil, err
		}
		now := s.hub.elapsed()
		if !s.rate.allow(now) {
			return nil, &closed{wire.CloseRate, "too many frames"}
		}
		s.heard.Store(int64(now))
		switch op {
		case opText:
			return payload, nil
		case opClose:
			return nil, errPeerClosed
		case opPing:
			s.send(opPong, true, func(dst []byte) []byte { return append(dst, payload...) })
		}
	}
}

// readHello gives the first message, which must come soon.
func (s *session) readHello() ([]byte, error) {
	_ = s.conn.SetReadDeadline(time.Now().Add(s.hub.HelloTimeout))
	message, err := s.read()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.phase != fresh:
		return nil, errClosing
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, badFrame("no Hello came")
	case err == nil:
		_ = s.conn.SetReadDeadline(time.Time{})
	}
	return message, err
}
