package wire

import (
	"strconv"
	"time"
)

// FormatSession writes the number of a session as devices see it.
func FormatSession(id uint64) string { return "s" + strconv.FormatUint(id, 36) }

// RetryAfter is the reason of CloseDraining: come back after this pause, and not before.
type RetryAfter struct {
	Pause time.Duration
}

// Parse reads the reason of a close frame.
func (p *RetryAfter) Parse(reason []byte) error {
	*p = RetryAfter{}
	r := reader{b: reason}
	there := false
	r.object(func(key []byte) bool {
		if string(key) != "retryAfterMs" {
			return false
		}
		ms := r.uint()
		if ms > uint64(maxRetryAfter/time.Millisecond) {
			r.fail("retryAfterMs is more than an hour")
		}
		p.Pause, there = time.Duration(ms)*time.Millisecond, true
		return true
	})
	r.require(there, "retryAfterMs")
	return r.end()
}

const maxRetryAfter = time.Hour

// Append writes the reason of a close frame.
func (p *RetryAfter) Append(dst []byte) []byte {
	o := openObject(dst)
	o.int("retryAfterMs", min(p.Pause, maxRetryAfter).Milliseconds())
	return o.close()
}
