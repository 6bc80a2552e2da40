package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/lock"
)

// settleTime is how long after a change of the members the sessions of locks that moved may take to tell the new activations of
// themselves. It takes them some milliseconds, as a rule.
const settleTime = 3 * time.Second

// departed says which members have left the cluster, and with them the sessions that they held.
type departed struct{ members []string }

// IgnoreDeadLetterLogging says that nothing is lost when the grain is gone by the time that the message comes.
func (departed) IgnoreDeadLetterLogging() {}

// MembersChanged is called whenever the members of the cluster have changed.
func (l *Locks) MembersChanged() {
	s := l.shell
	s.mu.Lock()
	before := s.members
	s.members = s.node.Members()
	var gone []string
	for _, m := range before {
		if !isMember(s.members, m.ID) {
			gone = append(gone, m.ID)
		}
	}
	var grains []*grain
	if len(gone) > 0 {
		for g := range s.grains {
			if g.busy.Load() {
				grains = append(grains, g)
			}
		}
	}
	s.mu.Unlock()
	for _, g := range grains {
		g.system.Root.Send(g.pid, departed{gone})
	}
}

func isMember(members []cluster.Member, id string) bool {
	return slices.ContainsFunc(members, func(m cluster.Member) bool { return m.ID == id })
}

// part notes that the session of the device is gone with its node. What is on the wire stays there, until the device tells
// what became of it.
func (g *grain) part(d departed) {
	if g.state == nil || !g.state.Device.Connected || !slices.Contains(d.members, g.state.Device.Session.Node) {
		return
	}
	if g.phase == ready {
		g.execute(call{req: &Request{Command: &lock.DisconnectDevice{Session: g.state.Device.Session}}})
		return
	}
	g.state.Device = lock.Device{} // the state is being loaded again, and will not have it carried over
}

// unsettled is for how long the device of this activation may be connected without its knowing. Whoever opens then does not hear
// that the device is offline, but waits for its session to tell of itself.
func (g *grain) unsettled() time.Duration {
	moved := g.node.Moved()
	if moved.IsZero() || g.state.Device.Connected {
		return 0
	}
	changed := moved.Sub(g.start)
	if g.since < changed {
		return 0 // it was here before
	}
	return max(0, changed+settleTime-g.now())
}

// park keeps an open that has come too early. It reports false when it has not.
func (g *grain) park(c call) bool {
	switch c.req.Command.(type) {
	case *lock.OpenLock, *lock.OpenWithTempKey, *lock.OpenWithPIN:
	default:
		return false
	}
	wait := g.unsettled()
	if wait == 0 || !g.state.Exists() || len(g.parked) >= maxStash {
		return false
	}
	g.parked = append(g.parked, c)
	g.metrics.stashed.Inc()
	g.wakeIn(wait)
	return true
}

// unpark goes on with the opens that were kept, when the device is there or will not come.
func (g *grain) unpark(ctx actor.Context) {
	for len(g.parked) > 0 && g.phase == ready && g.unsettled() == 0 {
		c := g.parked[0]
		g.parked = g.parked[1:] // what is left of it, should this one panic
		g.metrics.stashed.Dec()
		g.request(ctx, c)
	}
	if len(g.parked) == 0 {
		g.parked = nil
	}
}
