package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/latchkey/latchkey/transport/wire"
)

// Faults are the ways in which a device and its network are bad. The zero value is a good device. They can be
// changed while the device runs; capabilities count from the next Hello.
type Faults struct {
	// Each frame in either direction is delayed by between LatencyMin and LatencyMax.
	LatencyMin, LatencyMax time.Duration
	// DropEvery, HalfOpenEvery, RebootEvery and GarbageEvery are the mean times between these accidents; 0: never.
	DropEvery     time.Duration
	HalfOpenEvery time.Duration
	HalfOpenFor   time.Duration // how long a half-open socket takes to heal
	RebootEvery   time.Duration
	GarbageEvery  time.Duration
	LoseJournal   bool // a reboot erases the flash

	// OpenRate is the share of opens that the following faults meet, from 0 to 1; 0 means all.
	OpenRate float64
	Refuse   string // refuse opens with this code, such as Jammed, LowBattery or Busy
	// Executed is what a refusal says of the motor: "false" (or empty), "true", "unknown". With "true" the motor moves,
	// with "unknown" it moves half of the time, and the device does not know either.
	Executed    string
	Reboot      RebootPoint // reboot in the middle of an open
	AnswerTwice bool
	StrayAnswer bool // also answer a call that was never made

	RefuseKeys string      // refuse changes of the table of keys with this code, such as NoSpace
	RebootKeys RebootPoint // reboot in the middle of a change of the table of keys
	TornKeys   bool        // changes of the table of keys are not known to be durable
	SilentKeys bool        // obey changes of the table of keys, and answer none
	NoKeys     bool        // keeps no keys, and has not got the capability

	NoDeadline bool // opens whatever the deadline says, and has not got the capability
	NoJournal  bool // keeps no command IDs, and has not got the capability
	SlowReader bool // sends, but never reads, so that the server meets a zero window
}

// RebootPoint is where in an open, or in a change of the table of keys, a device reboots.
type RebootPoint string

// The points, in their order.
const (
	RebootNever         RebootPoint = ""
	RebootBeforeJournal RebootPoint = "before-journal" // the command was received, and nothing is known of it afterwards
	RebootBeforeMotor   RebootPoint = "before-motor"   // the ID is in the journal, the motor has not moved, the table is as it was
	RebootBeforeEnd     RebootPoint = "before-end"     // the motor has moved, the table has changed, the journal says that it started
	RebootBeforeAnswer  RebootPoint = "before-answer"  // and the journal says so
	RebootAfterAnswer   RebootPoint = "after-answer"   // of an open only
)

// RebootPoints are all points but RebootNever.
var RebootPoints = []RebootPoint{RebootBeforeJournal, RebootBeforeMotor, RebootBeforeEnd, RebootBeforeAnswer, RebootAfterAnswer}

var (
	refusals = []string{
		"", wire.CodeExpired, wire.CodeStaleSession, wire.CodeStaleEpoch, wire.CodeBootMismatch, wire.CodeBusy, wire.CodeJammed,
		wire.CodeLowBattery, wire.CodeNoSpace, wire.CodeUnsupported, wire.CodeBadFormat, wire.CodeInternal,
	}
)

func (f *Faults) validate() error {
	switch {
	case f.LatencyMin < 0 || f.LatencyMax < f.LatencyMin:
		return errors.New("sim: latency must have 0 <= min <= max")
	case min(f.DropEvery, f.HalfOpenEvery, f.HalfOpenFor, f.RebootEvery, f.GarbageEvery) < 0:
		return errors.New("sim: the times between faults must not be negative")
	case f.HalfOpenEvery > 0 && f.HalfOpenFor == 0:
		return errors.New("sim: half-open sockets need a time after which they heal")
	case f.OpenRate < 0 || f.OpenRate > 1:
		return errors.New("sim: the share of opens with a fault must be from 0 to 1")
	case !slices.Contains(refusals, f.Refuse):
		return fmt.Errorf("sim: %q is no error code of the protocol", f.Refuse)
	case !slices.Contains(refusals, f.RefuseKeys):
		return fmt.Errorf("sim: %q is no error code of the protocol", f.RefuseKeys)
	case !slices.Contains([]string{"", "false", "true", "unknown"}, f.Executed):
		return fmt.Errorf("sim: executed must be false, true or unknown, not %q", f.Executed)
	case f.Reboot != RebootNever && !slices.Contains(RebootPoints, f.Reboot):
		return fmt.Errorf("sim: %q is no point to reboot at; use one of %v", f.Reboot, RebootPoints)
	case f.RebootKeys == RebootAfterAnswer || f.RebootKeys != RebootNever && !slices.Contains(RebootPoints, f.RebootKeys):
		return fmt.Errorf("sim: %q is no point of a change of the table to reboot at", f.RebootKeys)
	}
	return nil
}

// latency draws the delay of one frame.
func (f *Faults) latency() time.Duration {
	if f.LatencyMax == 0 {
		return 0
	}
	return f.LatencyMin + rand.N(f.LatencyMax-f.LatencyMin+1)
}

// meets draws whether the next open is one with a fault.
func (f *Faults) meets() bool { return f.OpenRate == 0 || rand.Float64() < f.OpenRate }

// SetFaults replaces the device's faults. The ones that are on go on from now.
func (d *Device) SetFaults(f Faults) error {
	if err := f.validate(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setFaults(f)
	return nil
}

func (d *Device) setFaults(f Faults) {
	d.faults = f
	for _, t := range d.accidents {
		t.Stop()
	}
	d.accidents = nil
	d.faultGen++
	if d.ctx == nil || d.ctx.Err() != nil {
		return // Start does the rest
	}
	d.every(d.faultGen, f.DropEvery, func() { d.DropSocket() })
	d.every(d.faultGen, f.HalfOpenEvery, func() { d.HalfOpen(f.HalfOpenFor) })
	d.every(d.faultGen, f.RebootEvery, func() { d.Reboot(f.LoseJournal) })
	d.every(d.faultGen, f.GarbageEvery, func() { _ = d.SendGarbage() })
	if c := d.conn; c != nil {
		c.slow.set(f.SlowReader)
	}
}

// every lets an accident happen again and again until the faults change. The caller holds d.mu.
func (d *Device) every(gen int, mean time.Duration, accident func()) {
	if mean <= 0 {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(around(mean), func() {
		if !d.sameFaults(gen) {
			return
		}
		accident()
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.faultGen == gen && d.ctx.Err() == nil {
			t.Reset(around(mean))
		}
	})
	d.accidents = append(d.accidents, t)
}

func (d *Device) sameFaults(gen int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faultGen == gen && d.ctx.Err() == nil
}
