package actors

import "github.com/latchkey/latchkey/lock"

// Which device is connected is in no journal: sessions tell the grain, and tell it again when the members change. A grain that
// starts anew without such a change (its append failed, or it panicked) would leave a session that nobody knows of, and a lock that
// is taken for offline.

// connected notes the session that the grain knows of.
func (g *grain) connected(c lock.Command) {
	switch c := c.(type) {
	case *lock.DisconnectDevice:
		if c.Session == g.session {
			g.session = lock.Session{} // it has ended by itself
		}
	default:
		if g.state.Device.Connected {
			g.session = g.state.Device.Session
		}
	}
}

// recall tells the next activation of the session that this one knows. The device notices nothing.
func (g *grain) recall() {
	if g.state != nil && g.state.Device.Connected {
		g.passOn(call{req: &Request{Command: &lock.KeepDevice{Device: g.state.Device}}})
		return
	}
	g.orphan()
}

// orphan ends the session that the next state does not know of: that it has ended was decided, and never done.
func (g *grain) orphan() {
	session := g.session
	if session == (lock.Session{}) {
		return
	}
	g.session = lock.Session{}
	g.deliver(&lock.CloseSession{Session: session, Cause: lock.CauseMissedDeadline})
}
