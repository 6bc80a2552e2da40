// Package seldom keeps a log short that strangers could fill: of what comes again and again it lets one line a second through, which
// says how many it stands for.
package seldom

import (
	"sync"
	"time"
)

// every is how often a reason gets a line.
const every = time.Second

// Reasons remembers when each reason had its last line. There must be a fixed number of them. The zero value is ready; it may be used
// from any goroutine.
type Reasons struct {
	mu   sync.Mutex
	last map[string]*line // guarded by mu
}

type line struct {
	at   time.Time
	left int // that had none since
}

// Due tells whether the reason gets a line now, and how many had none since the last one.
func (r *Reasons) Due(reason string) (others int, due bool) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.last[reason]
	if l == nil {
		if r.last == nil {
			r.last = make(map[string]*line)
		}
		l = new(line)
		r.last[reason] = l
	}
	if !l.at.IsZero() && now.Sub(l.at) < every {
		l.left++
		return 0, false
	}
	others, l.left, l.at = l.left, 0, now
	return others, true
}
