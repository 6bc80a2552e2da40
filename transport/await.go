package transport

import (
	"errors"
	"os"
	"time"
)

// Nearly all sessions wait for their device nearly always, and a goroutine that waits costs its stack: 2 KB as long as
// nothing deeper than a read ever runs on it, and 4 or 8 KB for good otherwise. So the goroutine that waits does nothing
// else. It ends when bytes have come, and leaves the session to a worker; when the worker has used them up, a new
// goroutine waits. Of a device that says something all the time the worker itself awaits the next word, until the sweeper
// finds that it has fallen silent, since handing the session over costs as much as reading a frame. A session without a
// socket that can be read like this (under TLS, or on another system than Linux) stays with one goroutine that reads.

const (
	// silence is how long a device says nothing before it counts as idle.
	silence = time.Second
	// unknownPause is the mean pause that a session begins with: it takes some frames in quick succession to count as busy.
	unknownPause = 8 * silence
)

// await waits for bytes. They, or what went wrong, are in the reader then.
func (s *session) await() {
	s.reader.await(s.raw)
	s.hub.workers.Run(s)
}

// work does what the device has said, until there is nothing left of it.
func (s *session) work() { s.carryOn(nil) }

// carryOn reads and does what was read, until the session has to wait for more, or has ended.
func (s *session) carryOn(err error) {
	for err == nil {
		if s.raw != nil && s.reader.empty() && (s.pause > silence || !s.stay()) {
			go s.await()
			return
		}
		var message []byte
		if message, err = s.read(); err == nil {
			err = s.receive(message)
		}
	}
	s.finish(err)
}

// stay waits for bytes as await does, but on this goroutine. It reports false when the sweeper wants it to wait no longer.
func (s *session) stay() bool {
	s.mu.Lock()
	s.staying = true
	s.mu.Unlock()
	s.reader.await(s.raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.staying = false
	if !s.roused {
		return true
	}
	s.roused = false
	var until time.Time // never
	if s.phase >= closing {
		until = time.Now().Add(s.hub.CloseTimeout) // as long as the device has for its goodbye
	}
	_ = s.conn.SetReadDeadline(until)
	if errors.Is(s.reader.failed, os.ErrDeadlineExceeded) {
		s.reader.failed = nil
		return false
	}
	return true
}

// rouse ends the staying of a worker with a device that is silent.
func (s *session) rouse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.staying && !s.roused {
		s.roused = true
		_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // long past
	}
}
