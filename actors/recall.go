package actors

import (
	"time"

	"github.com/latchkey/latchkey/actors/actorspb"
)

// What was on a connection when it broke is lost, and nobody can say what that was. Most of it is missed by somebody who asks again.
// But when a grain has given a session up and the word of that is lost, the grain waits for a device that believes itself connected.
// So after each break the sessions at the other end tell their grains here of themselves.

// recallAfter is how long after a break the other end hears of it. If that breaks too, it is the next break: so a node that cannot be
// reached is tried again for as long as it is a member.
const recallAfter = time.Second

// ConnectionLost is called when the connection to a node, by which effects went there, has broken.
func (l *Locks) ConnectionLost(addr string) {
	time.AfterFunc(recallAfter, func() { l.shell.recallSessions(addr) })
}

// recallSessions asks for the sessions of the member at an address.
func (s *shell) recallSessions(addr string) {
	if s.ctx.Err() != nil {
		return
	}
	for _, m := range s.node.Members() {
		if m.Addr == addr && m.ID != s.self {
			s.node.TellMember(m.ID, sessionsName, &actorspb.Recall{Origin: s.self})
		}
	}
}
