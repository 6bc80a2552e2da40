package sim

import (
	"math/rand/v2"
	"time"

	"github.com/latchkey/latchkey/transport/wire"
)

// opening is one Open while the firmware deals with it.
type opening struct {
	p      wire.Open
	fault  Faults // what goes wrong with it; zero: nothing
	bootID string // the boot that it began in

	// The answer. Silent is the answer of a device that lost its power.
	silent   bool
	code     string // of a refusal; empty: opened
	text     string
	executed wire.Executed // of a refusal
	mono     int64
}

func (o *opening) refuse(code, text string, executed wire.Executed) {
	o.code, o.text, o.executed = code, text, executed
}

// open serves an Open: check, journal, motor, journal, answer.
func (c *conn) open(id string, p wire.Open) {
	d := c.d
	o := opening{p: p}
	if d.begin(&o) {
		o.silent = !d.pause(d.opts.Motor.Travel)
		d.finish(&o)
	}
	if o.silent {
		return
	}
	if o.fault.StrayAnswer {
		_ = c.write(wire.AppendResult(nil, "never-made", wire.Empty{}))
	}
	c.answer(id, &o)
	if o.fault.AnswerTwice {
		c.answer(id, &o)
	}
	if o.fault.Reboot == RebootAfterAnswer && !o.refused() {
		d.Reboot(o.fault.LoseJournal)
	}
}

func (o *opening) refused() bool { return o.code != "" }

func (c *conn) answer(id string, o *opening) {
	if o.refused() {
		c.refuse(id, o.code, o.text, wire.Details{CommandID: o.p.CommandID, Executed: o.executed})
		return
	}
	_ = c.write(wire.AppendResult(nil, id, &wire.OpenResult{CommandID: o.p.CommandID, Bolt: boltUnlocked, Mono: o.mono}))
}

// begin decides whether the motor may move, journals that and starts it. It reports whether the motor runs.
func (d *Device) begin(o *opening) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	o.bootID = d.bootID
	if d.repeated(o) {
		d.opts.Stats.repeated.Add(1)
		return false
	}
	if d.faults.meets() {
		o.fault = d.faults
	}
	if d.check(o); o.refused() {
		d.settle(o, commandRefused)
		return false
	}
	if d.armed != RebootNever {
		o.fault.Reboot, o.fault.LoseJournal = d.armed, d.armedLoses
		d.armed = RebootNever
	}
	if d.rebootsAt(o, RebootBeforeJournal) {
		return false
	}
	// The journal comes before the motor: after a loss of power between the two, a repeat must not open again.
	if d.started(o); o.refused() {
		d.settle(o, commandRefused)
		return false
	}
	if d.rebootsAt(o, RebootBeforeMotor) {
		return false
	}
	mono := d.mono()
	if d.late(o, mono) { // writing the journal took time as well
		d.settle(o, commandRefused)
		return false
	}
	d.motor.running = true
	if o.fault.Refuse == "" || o.fault.Executed != "unknown" || rand.N(2) == 0 {
		d.move(o.p, mono)
	}
	return true
}

// started journals that a command is about to be obeyed, or refuses it: who cannot remember must not act. The caller holds d.mu.
func (d *Device) started(o *opening) {
	d.epoch = o.p.Epoch // outdated has let nothing lower pass
	if d.faults.NoJournal {
		return
	}
	if err := d.flash.put(commandRecord{ID: o.p.CommandID, State: commandStarted}); err != nil {
		d.flashFailed(err)
		o.refuse(wire.CodeInternal, "the journal could not be written", wire.NotExecuted)
	}
}

// outdated makes the checks of the protocol that all commands share, in its order. The caller holds d.mu.
func (d *Device) outdated(o *opening) {
	no := wire.NotExecuted
	switch p := &o.p; {
	case p.BootID != d.bootID:
		o.refuse(wire.CodeBootMismatch, "the lock has booted since", no)
	case p.Session != d.session:
		o.refuse(wire.CodeStaleSession, "the lock has another session now", no)
	case p.Epoch < d.epoch:
		o.refuse(wire.CodeStaleEpoch, "the lock has seen a newer epoch", no)
	default:
		d.late(o, d.mono())
	}
}

// check makes the checks of an open. The caller holds d.mu.
func (d *Device) check(o *opening) {
	no := wire.NotExecuted
	d.outdated(o)
	switch {
	case o.refused():
	case o.fault.Refuse != "" && (o.fault.Executed == "" || o.fault.Executed == "false"):
		o.refuse(o.fault.Refuse, "as the simulation was told", no)
	case d.motor.running:
		o.refuse(wire.CodeBusy, "the motor is moving", no)
	}
}

// late refuses an open whose deadline has passed on the device's clock.
func (d *Device) late(o *opening, mono int64) bool {
	if d.faults.NoDeadline || mono <= o.p.NotAfterMono {
		return false
	}
	o.refuse(wire.CodeExpired, "deadline passed", wire.NotExecuted)
	return true
}

// finish is the arrival of the bolt.
func (d *Device) finish(o *opening) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if o.silent || d.bootID != o.bootID {
		o.silent = true // lost its power while the motor ran; its journal says only that it had started
		return
	}
	d.motor.running = false
	if d.rebootsAt(o, RebootBeforeEnd) {
		return
	}
	o.mono = d.mono()
	switch {
	case o.fault.Refuse == "":
		d.settle(o, commandExecuted)
		d.opened(time.Duration(o.p.PulseMs) * time.Millisecond)
	case o.fault.Executed == "true":
		o.refuse(o.fault.Refuse, "as the simulation was told", wire.WasExecuted)
		d.settle(o, commandExecuted)
	default: // the journal keeps saying that it had started, since the device cannot tell
		o.refuse(o.fault.Refuse, "as the simulation was told", wire.ExecutedUnknown)
		d.opts.Stats.countRefusal(o.code)
	}
	d.rebootsAt(o, RebootBeforeAnswer)
}

// settle journals how a command ended. The caller holds d.mu.
func (d *Device) settle(o *opening, state commandState) {
	if o.refused() {
		d.opts.Stats.countRefusal(o.code)
	}
	if !d.faults.NoJournal {
		d.flashFailed(d.flash.put(commandRecord{ID: o.p.CommandID, State: state, Code: o.code, Mono: o.mono}))
	}
}

// repeated answers a command that the journal knows already with what it says. It comes before the other checks: the
// motor does not move, and a late repeat of an open that did happen must not be answered as if it had not.
func (d *Device) repeated(o *opening) bool {
	r, seen := d.flash.find(o.p.CommandID)
	if !seen || d.faults.NoJournal {
		return false
	}
	o.mono = d.mono() // that of the answer: the server sets its idea of this clock by it
	const text = "answered from the journal"
	switch {
	case r.State == commandStarted:
		o.refuse(wire.CodeInternal, "power was lost before its end", wire.ExecutedUnknown)
	case r.State == commandRefused:
		o.refuse(r.Code, text, wire.NotExecuted)
	case r.Code != "":
		o.refuse(r.Code, text, wire.WasExecuted)
	}
	return true
}

// rebootsAt reboots if the command's fault says so. The caller holds d.mu.
func (d *Device) rebootsAt(o *opening, at RebootPoint) bool {
	if o.fault.Reboot != at {
		return false
	}
	d.reboot(o.fault.LoseJournal)
	o.silent = true
	return true
}

// statuses answers CommandStatus from the journal. A device without one knows nothing.
func (d *Device) statuses(ids []string) wire.Statuses {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := make(wire.Statuses, len(ids))
	for _, id := range ids {
		s[id] = wire.StatusJournalLost
		if !d.faults.NoJournal {
			s[id] = d.flash.status(id)
		}
	}
	return s
}
