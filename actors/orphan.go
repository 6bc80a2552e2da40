package actors

import (
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/lock"
)

// Which device is connected is in no journal: sessions tell the grain, and tell it again when the members change. A grain that
// starts anew without such a change (its append failed, or it could not be loaded) would leave a session that nobody knows
// of, and a lock that is taken for offline. So it has that session ended: the device comes back, and makes itself known.

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

// orphan ends the session that the next state does not know of.
func (g *grain) orphan() {
	session := g.session
	if session == (lock.Session{}) {
		return
	}
	g.session = lock.Session{}
	if g.state == nil {
		g.state = new(lock.State) // it was never loaded
		_, identity := cluster.Identity(g.pid)
		g.state.ID, _ = lock.ParseID(identity) // of a grain that a device named
	}
	g.deliver(&lock.CloseSession{Session: session, Cause: lock.CauseMissedDeadline})
}

// waitingSession is that of a device which made itself known to a grain that could not be loaded.
func (g *grain) waitingSession() {
	for _, c := range g.stash {
		if keep, ok := c.req.Command.(*lock.KeepDevice); ok {
			g.session = keep.Device.Session
		}
	}
}
