package sim

import (
	"errors"
	"strconv"
	"time"

	"github.com/latchkey/latchkey/transport/wire"
)

const (
	boltLocked   = "locked"
	boltUnlocked = "unlocked"
	doorOpen     = "open"
	doorClosed   = "closed"

	batteryFull    = 100
	batteryLow     = 3  // what a device with the fault LowBattery reports
	batteryChanged = 10 // somebody changes the battery when it is down to this
	chargePerOpen  = 1  // hundredths of a per cent

	relockDefault = 5 * time.Second
)

// MotorOptions say how the motor, the bolt and the people at the door behave.
type MotorOptions struct {
	Travel  time.Duration // how long the motor runs before it has opened; a second open meanwhile is Busy
	Relock  time.Duration // how long the bolt stays open when the open does not say. 0: 5 s
	OpensIn time.Duration // how long after the bolt somebody opens the door. 0: nobody does
	Stays   time.Duration // how long the door then stays open
}

func (m *MotorOptions) validate() error {
	orDefault(&m.Relock, relockDefault)
	if min(m.Travel, m.Relock, m.OpensIn, m.Stays) < 0 {
		return errors.New("sim: the times of a motor must not be negative")
	}
	return nil
}

// motor is what moves. Its fields are guarded by the device's mutex.
type motor struct {
	running bool
	relock  *time.Timer
	door    *time.Timer
	due     bool // the bolt would have locked, but the door was open
}

// reset is what a reboot does to the motor. People at the door go on.
func (m *motor) reset() {
	m.running, m.due = false, false
	stopTimers(m.relock)
}

func stopTimers(timers ...*time.Timer) {
	for _, t := range timers {
		if t != nil {
			t.Stop()
		}
	}
}

// move writes down that the motor starts now. The caller holds d.mu.
func (d *Device) move(p wire.Open, mono int64) {
	d.opts.Stats.moved.Add(1)
	d.opts.Recorder.add(Movement{
		Time: time.Now(), LockID: d.cred.LockID, LockUUID: d.cred.LockUUID,
		CommandID: p.CommandID, Session: p.Session, BootID: d.bootID, Epoch: p.Epoch,
		Mono: mono, NotAfterMono: p.NotAfterMono, MarginMs: p.NotAfterMono - mono, DeadlineEnforced: !d.faults.NoDeadline,
	})
	d.wear()
}

// wear is what a movement costs. The battery is reported when it is down by another per cent. The caller holds d.mu.
func (d *Device) wear() {
	d.charge -= chargePerOpen
	if d.charge%100 != 0 {
		return
	}
	if d.charge <= 100*batteryChanged {
		d.charge = 100 * batteryFull
	}
	d.report(eventBattery, strconv.Itoa(d.battery()))
}

// opened is what follows a movement: the bolt is open for the pulse, and somebody may go through the door.
// The caller holds d.mu.
func (d *Device) opened(pulse time.Duration) {
	d.report(eventBolt, boltUnlocked)
	if pulse <= 0 {
		pulse = d.relockAfter()
	}
	d.motor.due = false
	later(&d.motor.relock, pulse, d.relock)
	if d.opts.Motor.OpensIn > 0 && d.door == doorClosed {
		later(&d.motor.door, d.opts.Motor.OpensIn, d.useDoor)
	}
}

// relock locks the bolt when its time is over, and not while the door is open.
func (d *Device) relock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.ctx.Err() != nil || d.bolt == boltLocked:
	case d.door == doorOpen:
		d.motor.due = true
	default:
		d.report(eventBolt, boltLocked)
	}
}

// useDoor opens the door, and closes it later.
func (d *Device) useDoor() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return
	}
	if d.door == doorClosed {
		d.report(eventDoor, doorOpen)
		later(&d.motor.door, d.opts.Motor.Stays, d.useDoor)
		return
	}
	d.report(eventDoor, doorClosed)
	if d.motor.due {
		d.motor.due = false
		d.report(eventBolt, boltLocked)
	}
}

// OpenByHand is somebody inside who turns the knob: the bolt opens without the motor.
func (d *Device) OpenByHand() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.report(eventManualOpen, "inside")
	d.opened(0)
}

// battery is what the device reports. The caller holds d.mu.
func (d *Device) battery() int {
	if d.faults.Refuse == wire.CodeLowBattery {
		return batteryLow
	}
	return (d.charge + 99) / 100
}

// later makes f run after the wait, and not at the time that was set before.
func later(t **time.Timer, wait time.Duration, f func()) {
	if *t == nil {
		*t = time.AfterFunc(wait, f)
		return
	}
	(*t).Reset(wait)
}
