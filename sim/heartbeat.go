package sim

import (
	"math/rand/v2"
	"time"

	"github.com/latchkey/latchkey/transport/wire"
)

// startHeartbeat plans the session's first heartbeat somewhere in the first interval, so that the devices of a node
// that were greeted together do not beat together. The caller holds d.mu.
func (d *Device) startHeartbeat() {
	first := d.conn.heartbeat/2 + rand.N(d.conn.heartbeat/2+1)
	if d.beat == nil {
		d.beat = time.AfterFunc(first, d.heartbeat)
		return
	}
	d.beat.Reset(first)
}

// heartbeat tells the server the time on the device's clock. When the server has missed too many answers, the
// device takes the socket for dead and connects anew.
func (d *Device) heartbeat() {
	d.mu.Lock()
	c := d.conn
	if c == nil || d.ctx.Err() != nil {
		d.mu.Unlock()
		return
	}
	if c.unanswered > wire.MissesToClose && !c.slow.isShut() {
		d.abandon(c)
		d.mu.Unlock()
		return
	}
	c.unanswered++
	d.beat.Reset(c.heartbeat)
	frozen := c.frozen.isShut()
	frame := wire.AppendCall(nil, d.callID('b'), wire.ActionHeartbeat, &wire.Heartbeat{Mono: d.mono()})
	if c.reporting && time.Since(c.reported) > wire.MissesToClose*c.heartbeat {
		c.reporting = false // the answer is not going to come
	}
	d.mu.Unlock()
	if !frozen { // what was not sent in time is worth nothing later
		_ = c.write(frame)
	}
	d.mu.Lock()
	c.holding = false // what was not taken goes again after it
	d.planFlush()
	d.mu.Unlock()
}

// abandon gives a dead socket up. A half-open one stays, so that what arrives when it heals is read: that is the
// case which the session's name in each Open is there for. The caller holds d.mu.
func (d *Device) abandon(c *conn) {
	d.detach()
	d.mayLinger(c, nil)
	if !c.frozen.isShut() {
		c.kill(true)
	}
	d.server++
	d.retryAfter(d.opts.Backoff.delay(d.attempt))
	d.attempt++
}
