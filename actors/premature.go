package actors

import (
	"errors"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// sessionsTellWithin is how long after a change of the members it may take until every session has told its lock's grain, which
// may be a new one on another node, that it is there: another node may see the change later.
const sessionsTellWithin = time.Second

// MembersChanged is called when members have come or gone, so that grains may have moved.
func (l *Locks) MembersChanged() {
	now := l.shell.now()
	l.shell.changed.Store(&now)
}

// premature tells whether a rejection says that a device is away, though its session may only not have told yet. Nothing was
// done, so the caller's node asks again in a moment.
func (g *grain) premature(err error) bool {
	var rejection *lock.Error
	if g.state.Device.Connected || !errors.As(err, &rejection) || rejection.Kind != lock.Offline {
		return false
	}
	changed := g.changed.Load()
	return changed != nil && g.now()-*changed < sessionsTellWithin
}
