package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	connectRateDefault = 500 // first connections a second
	batterySpread      = 40  // per cent that a fleet's batteries differ by
	pollEvery          = 20 * time.Millisecond
)

// FleetOptions say what a fleet's devices have in common. Of Device, Drift, Flash and Battery are set for each
// device by the fleet.
type FleetOptions struct {
	Device DeviceOptions
	// Flashes keeps the flashes in a file. nil: in memory.
	Flashes *FlashFile
	// MaxDriftPPM bounds how wrong the clocks run; each device has its own drift.
	MaxDriftPPM float64
	// ConnectRate is how many devices a second are switched on at the start. 0: 500.
	ConnectRate float64
}

// Fleet is many devices in one process.
type Fleet struct {
	opts    *FleetOptions
	devices []*Device
	byLock  map[int64]*Device
}

// NewFleet makes a fleet of devices that are switched off.
func NewFleet(creds []Credential, o FleetOptions) (*Fleet, error) {
	orDefault(&o.ConnectRate, connectRateDefault)
	if o.ConnectRate < 0 || o.MaxDriftPPM < 0 {
		return nil, errors.New("sim: the rate of connecting and the drift must not be negative")
	}
	if err := o.Device.validate(); err != nil {
		return nil, err
	}
	f := &Fleet{opts: &o, devices: make([]*Device, 0, len(creds)), byLock: make(map[int64]*Device, len(creds))}
	dialer := newDialer(&o.Device)
	for _, c := range creds {
		if f.byLock[c.LockID] != nil {
			return nil, fmt.Errorf("sim: lock %d is there twice", c.LockID)
		}
		flash := NewFlash()
		if o.Flashes != nil {
			flash = o.Flashes.Flash(c.LockUUID)
		}
		d := newDevice(c, &o.Device, dialer, flash, Drift{PPM: o.MaxDriftPPM * (2*rand.Float64() - 1)})
		d.charge -= 100 * rand.N(batterySpread)
		d.server = len(f.devices) // each begins at the node after the one before it
		f.devices = append(f.devices, d)
		f.byLock[c.LockID] = d
	}
	return f, nil
}

// Start switches the devices on, at the rate of connecting. It returns when the last one is on, or with ctx's error.
func (f *Fleet) Start(ctx context.Context) error {
	limit := rate.NewLimiter(rate.Limit(f.opts.ConnectRate), max(1, int(f.opts.ConnectRate/100)))
	for _, d := range f.devices {
		if err := limit.Wait(ctx); err != nil {
			return err
		}
		d.Start()
	}
	return nil
}

// Stop switches all devices off and waits for them.
func (f *Fleet) Stop() {
	var wg sync.WaitGroup
	for _, d := range f.devices {
		d.off()
		wg.Go(d.wg.Wait)
	}
	wg.Wait()
}

// Devices are all devices, in the order of their credentials.
func (f *Fleet) Devices() []*Device { return f.devices }

// Device finds the device of a lock; nil when there is none.
func (f *Fleet) Device(lockID int64) *Device { return f.byLock[lockID] }

// Counts reads what the fleet's devices have done.
func (f *Fleet) Counts() Counts { return f.opts.Device.Stats.Counts() }

// Recorder holds the movements of the fleet's motors.
func (f *Fleet) Recorder() *Recorder { return f.opts.Device.Recorder }

// SetFaults replaces the faults of all devices.
func (f *Fleet) SetFaults(faults Faults) error {
	for _, d := range f.devices {
		if err := d.SetFaults(faults); err != nil {
			return err
		}
	}
	return nil
}

// WaitConnected waits until at least n devices have a session.
func (f *Fleet) WaitConnected(ctx context.Context, n int) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		have := f.Counts().Connected
		if have >= int64(n) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("sim: %d of %d devices connected: %w", have, n, ctx.Err())
		}
	}
}
