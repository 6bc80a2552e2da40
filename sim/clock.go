package sim

import "time"

// Drift makes a device's clock differ from the true time, as cheap crystals do.
type Drift struct {
	PPM    float64       // how many millionths too fast (negative: too slow) it runs
	Offset time.Duration // what it shows at boot; real firmware starts near zero
}

// bootClock counts the milliseconds since the device booted. It rests on the process's monotonic clock, so
// setting the wall clock does not move it.
type bootClock struct {
	booted time.Time
	drift  Drift
}

func (c bootClock) mono(now time.Time) int64 {
	d := now.Sub(c.booted)
	d += time.Duration(float64(d) * c.drift.PPM / 1e6)
	return (d + c.drift.Offset).Milliseconds()
}
