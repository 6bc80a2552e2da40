package sim

import (
	"time"

	"github.com/latchkey/latchkey/transport/wire"
)

// The types of events that a device reports by itself.
const (
	eventBolt       = "bolt"
	eventDoor       = "door"
	eventBattery    = "battery"
	eventManualOpen = "manual-open"
)

const eventsPerCall = 32

// Report adds an event of any type to those that the device sends.
func (d *Device) Report(typ, value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.report(typ, value)
}

// report changes what the event is about and keeps the event until it is acknowledged. The caller holds d.mu.
func (d *Device) report(typ, value string) {
	switch typ {
	case eventBolt:
		d.bolt = value
	case eventDoor:
		d.door = value
	}
	d.flashFailed(d.flash.addEvent(typ, value, d.mono()))
	d.planFlush()
}

// planFlush sends the waiting events, but not sooner after the last call than EventsEvery. The caller holds d.mu.
func (d *Device) planFlush() {
	c := d.conn
	if c == nil || c.reporting || c.holding || len(d.flash.events) == 0 {
		return
	}
	later(&d.flush, d.opts.EventsEvery-time.Since(c.reported), d.sendEvents)
}

// sendEvents sends the oldest events. One call is on its way at a time, so the server gets them in order.
func (d *Device) sendEvents() {
	d.mu.Lock()
	c := d.conn
	if c == nil || c.reporting || len(d.flash.events) == 0 || d.ctx.Err() != nil || c.frozen.isShut() {
		d.mu.Unlock()
		return // a heartbeat or the next session tries again
	}
	c.reporting, c.reported = true, time.Now()
	items := wire.Events{Items: d.flash.events[:min(len(d.flash.events), eventsPerCall)]}
	c.lastSeq = items.Items[len(items.Items)-1].Seq
	frame := wire.AppendCall(nil, d.callID('e'), wire.ActionEvents, &items)
	d.mu.Unlock()
	_ = c.write(frame)
}

// acknowledged forgets what the server has stored, and sends the rest: at once what is new, and with the next heartbeat what it did not
// take. The answer of an older socket says nothing any more: it may be about other numbers.
func (c *conn) acknowledged(seq uint64) {
	d := c.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != c {
		return
	}
	c.reporting, c.holding = false, seq < c.lastSeq
	d.flashFailed(d.flash.acknowledge(seq))
	d.planFlush()
}
