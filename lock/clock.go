package lock

import "time"

// Clock is a reading of a device's own clock: it stood at Mono, in milliseconds since the device's boot, at At of ours or
// before. The reading was under way for a while, so everything that is worked out from it is early, and never late.
type Clock struct {
	Mono int64
	At   time.Time // with Go's monotonic reading; zero: there is no reading
}

// driftShare allows a device's clock to run slower than ours by one part in so many, which is 200 ppm.
const driftShare = 5000

// NotAfter gives the latest millisecond that the device's clock has certainly reached at an instant of ours. For a deadline
// that is the last one at which a motor may start; for now it is the least that the clock shows. It is
// mono + (instant - at), less what the clock may have drifted, and never 0, which stands for no bound at all.
func (c Clock) NotAfter(deadline time.Time) int64 {
	left := deadline.Sub(c.At)
	left -= left.Abs() / driftShare
	ms := left.Milliseconds()
	if left < 0 && left%time.Millisecond != 0 {
		ms-- // Milliseconds rounds towards zero, which would be late here
	}
	return max(c.Mono+ms, 1)
}

// bound is NotAfter for whoever may have no reading: 0.
func (c Clock) bound(deadline time.Time) int64 {
	if c.At.IsZero() {
		return 0
	}
	return c.NotAfter(deadline)
}
