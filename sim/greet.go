package sim

import (
	"errors"
	"time"

	"github.com/latchkey/latchkey/transport/wire"
)

// greet sends Hello and reads until the server has answered it, which makes c the device's session.
func (c *conn) greet() error {
	d := c.d
	if err := c.write(d.hello(c.bootID)); err != nil {
		return err
	}
	_ = c.ws.SetReadDeadline(time.Now().Add(wire.HelloTimeout))
	for !c.hasSession() {
		if err := c.readFrame(); err != nil {
			return err
		}
	}
	return c.ws.SetReadDeadline(time.Time{})
}

func (d *Device) hello(bootID string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := wire.Hello{
		BootID: bootID, Mono: d.mono(), Firmware: d.opts.Firmware, LastSeq: d.flash.seq, Caps: []string{},
		Reported: wire.Reported{Bolt: d.bolt, Door: d.door, Battery: d.battery(), Config: d.flash.config.Config},
	}
	if !d.faults.NoDeadline {
		h.Caps = append(h.Caps, wire.CapDeadline)
	}
	if !d.faults.NoJournal {
		h.Caps = append(h.Caps, wire.CapJournal)
	}
	if !d.faults.NoKeys {
		h.Caps = append(h.Caps, wire.CapKeys)
	}
	return wire.AppendCall(nil, d.callID('h'), wire.ActionHello, &h)
}

// greeted takes the answer to Hello.
func (c *conn) greeted(payload []byte) error {
	var r wire.HelloResult
	if err := r.Parse(payload); err != nil {
		return err
	}
	d := c.d
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.conn != nil:
		return errors.New("a second answer to Hello")
	case d.bootID != c.bootID:
		return errors.New("rebooted while connecting")
	case d.ctx.Err() != nil:
		return d.ctx.Err()
	}
	if err := d.flash.greeted(r.AckSeq, len(r.Resolve) > 0); err != nil {
		return err
	}
	// Hello sets, a session only raises: the server may have been restored from a backup, or the device have served another lock.
	d.conn, d.session, d.epoch = c, r.Session, r.Epoch
	c.since, c.heartbeat = time.Now(), time.Duration(r.HeartbeatMs)*time.Millisecond
	c.slow.set(d.faults.SlowReader)
	d.opts.Stats.connected.Add(1)
	d.opts.Stats.connects.Add(1)
	if d.met {
		d.opts.Stats.reconnects.Add(1)
	}
	d.met = true
	d.configured(r.Desired)
	d.announce()
	d.startHeartbeat()
	d.planFlush()
	return nil
}

func (c *conn) hasSession() bool {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	return c.d.conn == c
}
