package transport

import (
	"time"

	"github.com/latchkey/latchkey/transport/wire"
)

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
