package transport

import (
	"errors"
	"os"
	"time"

	"github.com/latchkey/latchkey/internal/planted"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

const (
	commandSize = 320 // bytes that a command is counted with before it is written
	// clockTolerance is how far the grain's idea of the device's clock may be behind before it is told a new reading. It gets
	// there by drift in some minutes, or at once when the last reading was under way for long.
	clockTolerance = 100 * time.Millisecond
)

// unsent is why a command did not leave. It is proof: none of its bytes was handed to the socket.
type unsent struct {
	cause   string // in the metrics
	code    string // of the protocol
	message string
}

var (
	refusedExpired = &unsent{unsentExpired, wire.CodeExpired, "The deadline passed before the command could be sent to the lock."}
	refusedEnded   = &unsent{unsentEnded, wire.CodeStaleSession, "The lock's connection ended before the command could be sent."}
	refusedFull    = &unsent{unsentFull, wire.CodeBusy, "The lock has too many unanswered commands."}
)

// refuse answers a command in the device's place.
func (h *Hub) refuse(id lock.ID, e lock.Effect, why *unsent) {
	h.metrics.unsent.WithLabelValues(why.cause).Inc()
	switch e := e.(type) {
	case *lock.SendOpen:
		h.Grains.Tell(id, &lock.AnswerOpen{
			Session: e.Session, CommandID: e.CommandID, Executed: lock.NotExecuted, Code: why.code, Message: why.message,
		})
	case *lock.SendKey:
		h.Grains.Tell(id, &lock.AnswerKey{
			Session: e.Session, CommandID: e.CommandID, Executed: lock.NotExecuted, Code: why.code, Message: why.message,
		})
	}
}

// timed is what all commands with a deadline have in common.
func timed(e lock.Effect) *lock.SendOpen {
	if key, ok := e.(*lock.SendKey); ok {
		return &key.SendOpen
	}
	return e.(*lock.SendOpen)
}

// command queues an open, or a change of a key. Its deadline is looked at, and turned into the device's clock, when it is written.
func (s *session) command(e lock.Effect) {
	var why *unsent
	s.mu.Lock()
	switch {
	case s.phase >= closing:
		why = refusedEnded
	case s.commandsOut()+len(s.commands) >= maxCommands:
		why = refusedFull
	default:
		s.commands = append(s.commands, e)
	}
	slow := s.unsent() > wire.MaxUnsent
	start := why == nil && !slow && s.mayStart()
	s.mu.Unlock()
	switch {
	case why != nil:
		s.hub.refuse(s.lock, e, why)
	case slow:
		s.cutOff()
	case start:
		s.startFlush(false)
	}
}

// ackEvents answers a call of the device.
func (s *session) ackEvents(e *lock.AckEvents) {
	s.send(opText, false, func(dst []byte) []byte {
		return wire.AppendResult(dst, e.CallID, &wire.Ack{AckSeq: e.AckSeq})
	})
}

// send queues a frame whose payload write appends, with the mutex held. A device that does not read is cut off when
// too much waits for it.
func (s *session) send(op byte, here bool, write func([]byte) []byte) {
	s.mu.Lock()
	if s.phase >= closing {
		s.mu.Unlock()
		return
	}
	if s.out == nil {
		s.out = getBuffer()
	}
	dst, at := appendHead(s.out.b)
	s.out.b = seal(write(dst), at, op)
	slow := s.unsent() > wire.MaxUnsent
	start := !slow && s.mayStart()
	s.mu.Unlock()
	s.hub.metrics.sent.Inc()
	switch {
	case slow:
		s.cutOff()
	case start:
		s.startFlush(here)
	}
}

// unsent is how many bytes wait for the device. The mutex is held.
func (s *session) unsent() int {
	n := s.inFlight + len(s.commands)*commandSize
	if s.out != nil {
		n += len(s.out.b)
	}
	return n
}

// mayStart makes the caller the one who writes, if there is none and the device has been greeted. The mutex is held.
func (s *session) mayStart() bool {
	if s.writing || s.phase != live {
		return false
	}
	s.writing = true
	return true
}

// startFlush writes what waits. Only the goroutine that reads may wait for the device, and writes all of it here. Others
// write what the socket takes at once, which is nearly always everything; a goroutine of its own writes the rest.
func (s *session) startFlush(here bool) {
	switch {
	case here:
		s.flush(nil)
	case s.raw == nil:
		s.hub.spawn(func() { s.flush(nil) })
	default:
		if rest := s.flushNow(); rest != nil {
			s.hub.spawn(func() { s.flush(rest) })
		}
	}
}

// next takes what is to be written next; b is nil when nothing waits, and then this goroutine writes no more. last says
// that nothing comes after it.
func (s *session) next() (b *buffer, last bool) {
	s.mu.Lock()
	b, late, apart := s.take(time.Now())
	last = s.phase >= closing
	s.writing = b != nil || last
	if !s.writing && s.deadline {
		s.deadline = false
		_ = s.conn.SetWriteDeadline(time.Time{}) // one that has passed would end the next write at once
	}
	s.mu.Unlock()
	for _, e := range late {
		s.hub.refuse(s.lock, e, refusedExpired)
	}
	if apart {
		s.keep()
	}
	return b, last
}

// remainder is what the socket did not take at once.
type remainder struct {
	b    *buffer
	sent int
	last bool
}

// flushNow writes until nothing waits, and never waits for the device: what it cannot write it returns.
func (s *session) flushNow() *remainder {
	for {
		b, last := s.next()
		if b == nil {
			return nil
		}
		sent := writeNow(s.raw, b.b)
		if sent < len(b.b) || last {
			return &remainder{b, sent, last}
		}
		putBuffer(b)
	}
}

// flush writes the remainder, if there is one, and then until nothing waits.
func (s *session) flush(rest *remainder) {
	if rest == nil {
		rest = &remainder{}
	}
	for b, sent, last := rest.b, rest.sent, rest.last; ; sent = 0 {
		if b == nil {
			if b, last = s.next(); b == nil {
				return
			}
		}
		s.deadline = true
		_ = s.conn.SetWriteDeadline(time.Now().Add(s.hub.WriteTimeout))
		_, err := s.conn.Write(b.b[sent:])
		putBuffer(b)
		b = nil
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.cutOff()
			return
		}
		if err != nil {
			s.doom(causeGone)
			s.reset()
			return
		}
		if last {
			// The device may answer the close frame; the goroutine that reads waits for that, and not for long.
			_ = s.conn.SetReadDeadline(time.Now().Add(s.hub.CloseTimeout))
			return
		}
	}
}

// take gives all that waits, as bytes; commands whose deadline has passed it gives back. It also tells whether the grain's idea of
// the device's clock is so far behind that it should hear how late it is. The mutex is held.
func (s *session) take(now time.Time) (b *buffer, late []lock.Effect, apart bool) {
	b, s.out = s.out, nil
	for _, e := range s.commands {
		o := timed(e)
		notAfter, behind := s.notAfterMono(o, now)
		apart = apart || behind > clockTolerance.Milliseconds()
		passed := !now.Before(o.NotAfter) || s.device.Clock.NotAfter(now) > notAfter
		if passed && !planted.Has(planted.NoDeadlineCheck) {
			late = append(late, e)
			continue
		}
		if b == nil {
			b = getBuffer()
		}
		s.appendCommand(b, e, notAfter)
	}
	s.commands, s.inFlight = nil, 0
	if b != nil {
		s.inFlight = len(b.b)
	}
	return b, late, apart
}

// notAfterMono is the deadline of a command on the device's clock. It is worked out twice, here from the newest reading and the time that
// is left, and by the grain from an older one, and the earlier counts: if the effect was under way for long, what is left
// here is too much. behind is how much earlier the grain's is, in ms. No deadline is further away than lock.MaxLifetime, whatever
// the clock of the node that made it said. The mutex is held.
func (s *session) notAfterMono(e *lock.SendOpen, now time.Time) (notAfter, behind int64) {
	deadline := e.NotAfter
	if latest := now.Add(lock.MaxLifetime); latest.Before(deadline) || planted.Has(planted.NoDeadlineCheck) {
		deadline = latest
	}
	notAfter = s.device.Clock.NotAfter(deadline)
	if e.NotAfterMono == 0 || e.NotAfterMono >= notAfter || planted.Has(planted.NoDeadlineCheck) {
		return notAfter, 0
	}
	return e.NotAfterMono, notAfter - e.NotAfterMono
}

// appendCommand writes a command with its deadline on the device's clock.
func (s *session) appendCommand(b *buffer, e lock.Effect, notAfter int64) {
	o := timed(e)
	session := wire.FormatSession(o.Session.ID)
	dst, at := appendHead(b.b)
	switch e := e.(type) {
	case *lock.SendOpen:
		dst = wire.AppendCall(dst, s.newCall(call{command: o.CommandID}), wire.ActionOpen, &wire.Open{
			CommandID: string(o.CommandID), Session: session, Epoch: o.Epoch, BootID: o.BootID, NotAfterMono: notAfter,
		})
	case *lock.SendKey:
		dst = wire.AppendCall(dst, s.newCall(call{command: o.CommandID, key: true}), string(e.Action), &wire.Key{
			CommandID: string(o.CommandID), Session: session, Epoch: o.Epoch, BootID: o.BootID, NotAfterMono: notAfter,
			KeyUUID: e.Key.UUID, KeyIndex: e.Key.IndexNumber,
		})
	}
	b.b = seal(dst, at, opText)
	s.hub.metrics.sent.Inc()
}
