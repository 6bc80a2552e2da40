package transport

import (
	"time"

	"github.com/latchkey/latchkey/transport/wire"
)

// deviceClock is the last reading of a device's clock, with our own time when it came in. The reading is older than that by
// the uplink's delay, so everything that is worked out from it is early, never late.
type deviceClock struct {
	mono int64 // ms since the device's boot
	at   time.Time
}

// notAfter gives the last millisecond of the device's clock at which the motor may start.
// It is mono + (now - at) + (deadline - now), in which now falls out.
func (c deviceClock) notAfter(deadline time.Time) int64 {
	left := deadline.Sub(c.at)
	ms := left.Milliseconds()
	if left < 0 && left%time.Millisecond != 0 {
		ms-- // Milliseconds rounds towards zero, which would be late here
	}
	return max(c.mono+ms, 0)
}

// limiter lets through wire.FramesPerSec frames a second for long, and wire.FrameBurst at once. It needs one number:
// the instant until which the frames so far use up the allowance.
type limiter struct{ until time.Duration }

const (
	perFrame = time.Second / wire.FramesPerSec
	perBurst = wire.FrameBurst * perFrame
)

// allow takes one frame. The time is any that only grows.
func (l *limiter) allow(now time.Duration) bool {
	until := max(l.until, now) + perFrame
	if until-now > perBurst {
		return false
	}
	l.until = until
	return true
}

// refund takes back the frame that was counted last: it answered a call of the server, which the server asked for.
func (l *limiter) refund() { l.until -= perFrame }
