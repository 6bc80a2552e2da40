package transport

// Nearly all sessions wait for their device nearly always, and a goroutine that waits costs its stack: 2 KB as long as
// nothing deeper than a read ever runs on it, and 4 or 8 KB for good otherwise. So the goroutine that waits does nothing
// else. It ends when bytes have come, and leaves the session to a worker; when the worker has used them up, a new
// goroutine waits. A session without a socket that can be read like this (under TLS, or on another system than Linux)
// stays with one goroutine that reads.

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
		if s.raw != nil && s.reader.empty() {
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
