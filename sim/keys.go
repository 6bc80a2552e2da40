package sim

import (
	"errors"
	"strconv"
	"time"

	"github.com/latchkey/latchkey/transport/wire"
)

// keysKept is how many permanent keys the table of a device takes.
const keysKept = 10_000

const eventConfig = "config"

// errTornKeys is the fault TornKeys.
var errTornKeys = errors.New("sim: the write into the table of keys was not confirmed")

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

// changeKey serves AddKey, RemoveKey and WriteKey: check, journal, change the table, journal, answer.
func (c *conn) changeKey(id, action string, p wire.Key) {
	d := c.d
	o := opening{p: wire.Open{CommandID: p.CommandID, Session: p.Session, Epoch: p.Epoch, BootID: p.BootID, NotAfterMono: p.NotAfterMono}}
	d.obeyKey(&o, action, p)
	switch {
	case o.silent:
	case o.refused():
		c.refuse(id, o.code, o.text, wire.Details{CommandID: p.CommandID, Executed: o.executed})
	default:
		_ = c.write(wire.AppendResult(nil, id, &wire.KeyResult{CommandID: p.CommandID}))
	}
}

// obeyKey does what a command about a key says, unless it is refused.
func (d *Device) obeyKey(o *opening, action string, p wire.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	o.silent = d.faults.SilentKeys
	if d.repeated(o) {
		d.opts.Stats.repeated.Add(1)
		return
	}
	o.fault.Reboot, o.fault.LoseJournal = d.faults.RebootKeys, d.faults.LoseJournal
	if d.rebootsAt(o, RebootBeforeJournal) {
		return
	}
	if d.checkKey(o, action, p); o.refused() {
		d.settle(o, commandRefused)
		return
	}
	d.changeTable(o, action, p)
}

// checkKey decides whether the table may change, and journals that it is about to.
func (d *Device) checkKey(o *opening, action string, p wire.Key) {
	switch d.outdated(o); {
	case o.refused():
	case d.faults.RefuseKeys != "":
		o.refuse(d.faults.RefuseKeys, "as the simulation was told", wire.NotExecuted)
	case action != wire.ActionRemoveKey && len(d.flash.keys) >= keysKept && !d.flash.hasKey(p.KeyUUID):
		o.refuse(wire.CodeNoSpace, "the table is full", wire.NotExecuted)
	default:
		d.started(o)
	}
}

// changeTable does what a command says that the journal has as started. The table lies between the two entries of the journal: a loss of
// power at any moment leaves a journal that does not deny a key which the table has. A table that may not be durable stays started, too.
func (d *Device) changeTable(o *opening, action string, p wire.Key) {
	if d.rebootsAt(o, RebootBeforeMotor) {
		return
	}
	var err error
	if action == wire.ActionRemoveKey {
		err = d.flash.removeKey(p.KeyUUID)
	} else {
		err = d.flash.putKey(Key{UUID: p.KeyUUID, Index: p.KeyIndex})
	}
	if d.faults.TornKeys {
		err = errTornKeys
	}
	switch {
	case err != nil:
		d.flashFailed(err)
		o.refuse(wire.CodeInternal, "the table could not be written", wire.ExecutedUnknown)
		d.opts.Stats.countRefusal(o.code)
	case !d.rebootsAt(o, RebootBeforeEnd):
		d.settle(o, commandExecuted)
		d.rebootsAt(o, RebootBeforeAnswer)
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

// configured takes over the configuration that came with the answer to Hello, whatever its number, and tells so. The caller holds d.mu.
func (d *Device) configured(p *wire.Config) {
	if p == nil {
		return
	}
	d.flashFailed(d.flash.setConfig(*p))
	d.report(eventConfig, strconv.FormatUint(d.flash.config.Config, 10))
}

// relockAfter is how long the bolt stays open after an open that does not say. The caller holds d.mu.
func (d *Device) relockAfter() time.Duration {
	if ms := d.flash.config.RelockMs; ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return d.opts.Motor.Relock
}
