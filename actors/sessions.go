package actors

import (
	"log/slog"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/lock"
)

// A device connects to any node, and its lock's grain is where the lock belongs. So effects go from node to node: at most once
// each, and in order. "At most once" is what the truth about doors stands on. A session that cannot write an open any more
// refuses it with the proof that it never left; of an open that came a second time, the first one may have moved the motor.

// sessionsName is where each node takes effects for its sessions.
const sessionsName = "sessions"

// staleSession is the protocol's code for a command to a session that is over.
const staleSession = "StaleSession"

// maxOrigins is how many members' numbers are remembered. A member that is started again is a new one.
const maxOrigins = 4096

// outward numbers the effects that leave this node. They get their numbers in the order in which they are sent.
type outward struct {
	mu   sync.Mutex
	last uint64
}

// inward knows the last number of each member that has sent effects here.
type inward struct {
	mu      sync.Mutex // guards that an origin is added once
	origins *lru.Cache[string, *origin]
}

type origin struct {
	mu   sync.Mutex // held while an effect is carried out, so that they stay in order
	last uint64
}

func newInward() (*inward, error) {
	cache, err := lru.New[string, *origin](maxOrigins)
	return &inward{origins: cache}, err
}

func (in *inward) origin(name string) *origin {
	in.mu.Lock()
	defer in.mu.Unlock()
	o, ok := in.origins.Get(name)
	if !ok {
		o = new(origin)
		in.origins.Add(name, o)
	}
	return o
}

// once calls f unless the number is not newer than the last one that came from there.
func (in *inward) once(name string, number uint64, f func()) bool {
	o := in.origin(name)
	o.mu.Lock()
	defer o.mu.Unlock()
	if number <= o.last {
		return false
	}
	o.last = number
	f()
	return true
}

// deliver hands an effect to the session that it is for, wherever that is. A session whose node is no member any more is
// gone, and the grain hears of it.
func (g *grain) deliver(e lock.Effect) {
	to := e.To()
	if to.Node == g.self {
		g.devices.Send(g.state.ID, e)
		return
	}
	if g.send(to.Node, g.state.ID, e) {
		return
	}
	g.never(g.state.ID, e)
	g.mail.tell(g.state.ID, &lock.DisconnectDevice{Session: to})
}

// send sends an effect to another node. It reports false when there is no such member.
func (s *shell) send(member string, id lock.ID, e lock.Effect) bool {
	d := &delivery{origin: s.self, lock: id, effect: e, returned: func() { s.never(id, e) }}
	s.outward.mu.Lock()
	defer s.outward.mu.Unlock()
	s.outward.last++
	d.number = s.outward.last
	return s.node.TellMember(member, sessionsName, d)
}

// never is for an effect that certainly did not leave this node. Of a command its grain may know that.
func (s *shell) never(id lock.ID, e lock.Effect) {
	const message = "The server that the lock was connected to could not be reached."
	s.metrics.undelivered.Inc()
	switch e := e.(type) {
	case *lock.SendOpen:
		s.mail.tell(id, &lock.AnswerOpen{Session: e.Session, CommandID: e.CommandID, Executed: lock.NotExecuted, Code: staleSession, Message: message})
	case *lock.SendKey:
		s.mail.tell(id, &lock.AnswerKey{Session: e.Session, CommandID: e.CommandID, Executed: lock.NotExecuted, Code: staleSession, Message: message})
	}
}

// receive takes what other nodes send to the sessions here.
func (s *shell) receive(msg any) {
	if r, ok := msg.(*actorspb.Recall); ok {
		s.devices.Recall(r.GetOrigin())
		return
	}
	in, ok := msg.(*actorspb.IncomingEffect)
	if !ok {
		return
	}
	e, err := effectOf(in)
	if err != nil {
		s.Logger.Warn("an effect from another node is left out", slog.String("node", in.GetOrigin()), slog.Any("error", err))
		return
	}
	id := lock.ID(in.GetLockId())
	if e.To().Node != s.self { // it was for another life of this node: nobody knows what became of it there
		s.mail.tell(id, &lock.DisconnectDevice{Session: e.To()})
		return
	}
	if !s.inward.once(in.GetOrigin(), in.GetNumber(), func() { s.devices.Send(id, e) }) {
		s.metrics.repeated.Inc()
	}
}
