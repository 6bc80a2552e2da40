package sim

import (
	"math/rand/v2"
	"time"
)

// Backoff says how long a device waits before it connects again: full jitter over a ceiling that doubles from
// Min to Max. Devices that lost the same node must not come back in step.
type Backoff struct {
	Min time.Duration // 0: 1 s
	Max time.Duration // 0: 60 s
	// StableAfter is how long a session must have lasted to start over from Min. 0: five times Min.
	StableAfter time.Duration
	// Rejected is the wait after the server refused the credentials: asking again soon cannot help. 0: 5 min.
	Rejected time.Duration
	// Replaced is the wait after another device took this one's place, again. Coming back at once would throw out
	// the newer one, which would do the same. 0: 5 min.
	Replaced time.Duration
}

func (b Backoff) withDefaults() Backoff {
	orDefault(&b.Min, time.Second)
	orDefault(&b.Max, time.Minute)
	orDefault(&b.StableAfter, 5*b.Min)
	orDefault(&b.Rejected, 5*time.Minute)
	orDefault(&b.Replaced, 5*time.Minute)
	return b
}

// delay draws the wait before the attempt, counted from 0.
func (b Backoff) delay(attempt int) time.Duration {
	ceiling := b.Min
	for range attempt {
		if ceiling *= 2; ceiling >= b.Max {
			break
		}
	}
	return rand.N(min(ceiling, b.Max)) + 1
}

// around draws a time whose mean is d, from half to one and a half of it.
func around(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
