package actors

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// The bounds of what sessions have told and grains have not heard yet.
const (
	maxLetters   = 128     // of one lock
	maxMail      = 1 << 16 // of all
	maxCarriers  = 1024    // locks whose letters are on their way at the same time
	mailPatience = 30 * time.Second

	minMailPause = 50 * time.Millisecond
	maxMailPause = 200 * time.Millisecond
)

// mail brings what sessions tell to locks whose grains are on other nodes, or are just moving: it is sent until the grain says that
// it has done it. A device says nothing twice, so what got lost would leave an open unknown for no reason. The letters of
// one lock stay in order. All of them are such that doing one twice is doing it once.
//
// A session whose letter cannot be brought is ended: when its device comes back, it says all that matters again.
type mail struct {
	shell *shell

	mu       sync.Mutex
	lanes    map[lock.ID][]*Request // never empty; the first letter is on its way, unless the lane waits
	waiting  []lock.ID              // lanes that no carrier has
	carriers int

	letters atomic.Int64 // in all lanes; it changes under mu
}

func newMail(s *shell) *mail { return &mail{shell: s, lanes: make(map[lock.ID][]*Request)} }

// tell has a lock execute a command whose reply nobody waits for: at once, if the grain is on this node and no letter to it is
// under way.
func (m *mail) tell(id lock.ID, c lock.Command) {
	r := &Request{ID: requestID(c), Command: c, mail: m, to: id}
	if m.behind(id) || !m.shell.node.TellLocal(Kind, id.String(), r) {
		m.put(id, r)
	}
}

// behind tells whether letters to a lock are under way. Nearly always there are none at all.
func (m *mail) behind(id lock.ID) bool {
	if m.letters.Load() == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.lanes[id]) > 0
}

// put takes a letter. It never blocks.
func (m *mail) put(id lock.ID, r *Request) {
	m.mu.Lock()
	lane := m.lanes[id]
	full := len(lane) >= maxLetters || m.letters.Load() >= maxMail
	hire := false
	if !full {
		m.letters.Add(1)
		m.lanes[id] = append(lane, r)
		if len(lane) == 0 {
			m.waiting = append(m.waiting, id)
			if hire = m.carriers < maxCarriers; hire {
				m.carriers++
			}
		}
	}
	m.mu.Unlock()
	if full {
		m.lost(id, r)
	}
	if hire && !m.shell.background(m.carry) {
		m.mu.Lock()
		m.carriers--
		m.mu.Unlock()
	}
}

// carry brings the letters of one lane after the other, until no lane waits.
func (m *mail) carry() {
	for {
		m.mu.Lock()
		if len(m.waiting) == 0 {
			m.carriers--
			m.mu.Unlock()
			return
		}
		id := m.waiting[0]
		if m.waiting = m.waiting[1:]; len(m.waiting) == 0 {
			m.waiting = nil
		}
		r := m.lanes[id][0]
		m.mu.Unlock()
		for r != nil {
			r = m.next(id, m.bring(id, r))
		}
	}
}

// bring sends a letter until it is done. It reports false when that takes too long.
func (m *mail) bring(id lock.ID, r *Request) bool {
	ctx, cancel := context.WithTimeout(m.shell.ctx, mailPatience)
	defer cancel()
	for {
		_, err := m.shell.node.Request(ctx, Kind, id.String(), r)
		if err == nil {
			return true
		}
		select {
		case <-time.After(minMailPause + rand.N(maxMailPause-minMailPause)):
		case <-ctx.Done():
			if m.shell.ctx.Err() == nil {
				m.shell.Logger.Warn("a lock could not be told what its device said", slog.String("stream", Stream(id)), slog.Any("error", err))
			}
			return false
		}
	}
}

// next takes the first letter of a lane out and gives the one after it. When that one could not be brought, nor are the others.
func (m *mail) next(id lock.ID, brought bool) *Request {
	m.mu.Lock()
	lane := m.lanes[id]
	var left []*Request
	done := 1
	if !brought {
		done, left = len(lane), lane
	}
	m.letters.Add(-int64(done))
	if lane = lane[done:]; len(lane) == 0 {
		delete(m.lanes, id)
		m.mu.Unlock()
		for _, r := range left {
			m.lost(id, r)
		}
		return nil
	}
	m.lanes[id] = lane
	m.mu.Unlock()
	return lane[0]
}

// lost ends the session that a letter came from.
func (m *mail) lost(id lock.ID, r *Request) {
	m.shell.metrics.lost.Inc()
	if session, ok := sessionBehind(r.Command); ok && session.Node == m.shell.self && m.shell.ctx.Err() == nil {
		m.shell.devices.Send(id, &lock.CloseSession{Session: session, Cause: lock.CauseUnsure})
	}
}

// sessionBehind tells which session a command is told by.
func sessionBehind(c lock.Command) (lock.Session, bool) {
	switch c := c.(type) {
	case *lock.KeepDevice:
		return c.Device.Session, true
	case *lock.DisconnectDevice:
		return c.Session, true
	case *lock.AnswerOpen:
		return c.Session, true
	case *lock.AnswerKey:
		return c.Session, true
	case *lock.AnswerConfig:
		return c.Session, true
	case *lock.AnswerStatus:
		return c.Session, true
	case *lock.ReportEvents:
		return c.Session, true
	}
	return lock.Session{}, false
}

// isAnswer tells whether a command is what a device has said about one that it was sent.
func isAnswer(c lock.Command) bool {
	switch c.(type) {
	case *lock.AnswerOpen, *lock.AnswerKey, *lock.AnswerConfig, *lock.AnswerStatus:
		return true
	}
	return false
}
