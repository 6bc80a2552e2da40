package sim

import (
	"strconv"
	"time"

	"github.com/latchkey/latchkey/transport/wire"
)

// keysKept is how many permanent keys the table of a device takes.
const keysKept = 10_000

const eventConfig = "config"

// Key is a permanent key in the table of a device.
type Key struct {
	UUID  string `json:"uuid"`
	Index *int64 `json:"index,omitempty"` // nil: it has no number
}

// Keys is the device's table, in the order in which the keys came.
func (d *Device) Keys() []Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Key(nil), d.flash.keys...)
}

func (d *Device) keepsNoKeys() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults.NoKeys
}

// changeKey serves AddKey, RemoveKey and WriteKey: check, change the table, journal, answer.
func (c *conn) changeKey(id, action string, p wire.Key) {
	d := c.d
	o := opening{p: wire.Open{CommandID: p.CommandID, Session: p.Session, Epoch: p.Epoch, BootID: p.BootID, NotAfterMono: p.NotAfterMono}}
	silent := d.obeyKey(&o, action, p)
	switch {
	case silent:
	case o.refused():
		c.refuse(id, o.code, o.text, wire.Details{CommandID: p.CommandID, Executed: o.executed})
	default:
		_ = c.write(wire.AppendResult(nil, id, &wire.KeyResult{CommandID: p.CommandID}))
	}
}

// obeyKey does what a command about a key says, unless it is refused. It reports whether the device keeps silent about it.
func (d *Device) obeyKey(o *opening, action string, p wire.Key) (silent bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.repeated(o) {
		d.opts.Stats.repeated.Add(1)
		return d.faults.SilentKeys
	}
	if d.outdated(o); !o.refused() && d.faults.RefuseKeys != "" {
		o.refuse(d.faults.RefuseKeys, "as the simulation was told", wire.NotExecuted)
	}
	if !o.refused() {
		if err := d.flash.raiseEpoch(p.Epoch); err != nil {
			d.flashFailed(err)
			o.refuse(wire.CodeInternal, "the journal could not be written", wire.NotExecuted)
		}
	}
	if !o.refused() {
		d.changeTable(o, action, p)
	}
	if o.refused() {
		d.settle(o, commandRefused)
	} else {
		// The table comes before the journal: a loss of power between the two is a command that was not seen, and doing it
		// again leaves the same table.
		d.settle(o, commandExecuted)
	}
	return d.faults.SilentKeys
}

func (d *Device) changeTable(o *opening, action string, p wire.Key) {
	var err error
	switch {
	case action == wire.ActionRemoveKey:
		err = d.flash.removeKey(p.KeyUUID)
	case len(d.flash.keys) >= keysKept && !d.flash.hasKey(p.KeyUUID):
		o.refuse(wire.CodeNoSpace, "the table is full", wire.NotExecuted)
	default:
		err = d.flash.putKey(Key{UUID: p.KeyUUID, Index: p.KeyIndex})
	}
	if err != nil {
		d.flashFailed(err)
		o.refuse(wire.CodeInternal, "the table could not be written", wire.ExecutedUnknown)
	}
}

// setConfig serves SetConfig.
func (c *conn) setConfig(id string, p wire.Config) {
	d := c.d
	d.mu.Lock()
	d.configure(p)
	now := d.flash.config.Config
	d.mu.Unlock()
	_ = c.write(wire.AppendResult(nil, id, &wire.ConfigResult{Config: now}))
}

// configure takes over a configuration that is newer than the present one. The caller holds d.mu.
func (d *Device) configure(p wire.Config) {
	if p.Config > d.flash.config.Config {
		d.flashFailed(d.flash.setConfig(p))
	}
}

// configured takes over the configuration that came with the answer to Hello, and tells so. The caller holds d.mu.
func (d *Device) configured(p *wire.Config) {
	if p == nil {
		return
	}
	d.configure(*p)
	d.report(eventConfig, strconv.FormatUint(d.flash.config.Config, 10))
}

// relockAfter is how long the bolt stays open after an open that does not say. The caller holds d.mu.
func (d *Device) relockAfter() time.Duration {
	if ms := d.flash.config.RelockMs; ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return d.opts.Motor.Relock
}
