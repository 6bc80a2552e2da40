package actors

import (
	"time"

	"github.com/latchkey/latchkey/lock"
)

// A grain has one timer, which is set again only when something comes earlier than what it was set for. So most opens
// never touch it: it fires once for the first of them, finds nothing to do, and is set for the next.

// minAlarm is how exact the timer is. It keeps it from spinning, should what is due not be over when it fires.
const minAlarm = time.Millisecond

// watchKernel sets the timer for the kernel's next deadline. It comes after every message.
func (g *grain) watchKernel() {
	if g.phase != ready {
		return
	}
	if at, ok := lock.NextDeadline(g.state); ok {
		g.wakeIn(time.Until(at))
	}
}

// wakeIn sets the timer unless it fires by then anyway.
func (g *grain) wakeIn(in time.Duration) {
	in = max(in, minAlarm)
	at := g.now() + in
	if g.armed != 0 && g.armed <= at+minAlarm {
		return
	}
	g.armed = at
	g.lean.Store(false)
	if g.timer == nil {
		g.timer = time.AfterFunc(in, g.fire)
		return
	}
	g.timer.Reset(in)
}

// fire runs on a goroutine of the timer.
func (g *grain) fire() {
	g.fired.Store(true)
	g.system.Root.Send(g.pid, wake{})
}

// alarm does what is due, and sets the timer for what comes next.
func (g *grain) alarm() {
	g.fired.Store(false)
	g.armed = 0
	if g.phase != ready {
		return // whoever waits is looked at when the state is there
	}
	if at, ok := lock.NextDeadline(g.state); ok && !time.Now().Before(at) {
		g.execute(call{req: tick})
	}
	now := g.now()
	g.expire(now)
	for i := range g.waiters {
		g.wakeIn(g.waiters[i].until - now)
	}
	if len(g.parked) > 0 {
		g.wakeIn(g.unsettled())
	}
}

// tick is the command that lets deadlines pass.
var tick = &Request{Command: &lock.Tick{}}
