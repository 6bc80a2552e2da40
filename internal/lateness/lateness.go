// Package lateness measures how late a machine does what is due, so that a test of something that has to be prompt can tell a slow
// product from a machine that has more to do than it can.
package lateness

import "time"

const (
	tick  = time.Millisecond
	ratio = 10 // a bound holds as it is while the machine is not later than a tenth of it
)

// Watch notes how late this process is woken.
type Watch struct {
	stop chan struct{}
	most chan time.Duration
}

// Start begins to look. Stop has to be called.
func Start() *Watch {
	w := &Watch{stop: make(chan struct{}), most: make(chan time.Duration, 1)}
	go w.look()
	return w
}

func (w *Watch) look() {
	var most time.Duration
	timer := time.NewTimer(tick)
	defer timer.Stop()
	for due := time.Now().Add(tick); ; due = time.Now().Add(tick) {
		select {
		case <-timer.C:
			most = max(most, time.Since(due))
			timer.Reset(tick)
		case <-w.stop:
			w.most <- max(most, time.Since(due))
			return
		}
	}
}

// Stop ends the look and tells the most that this process was late.
func (w *Watch) Stop() time.Duration {
	close(w.stop)
	return <-w.most
}

// Allow is how long something may take that a machine does within a bound when it is on time, on one that was so late: the
// bound itself, unless the machine was later than a tenth of that, and then ten times as long as it was late.
func Allow(bound, late time.Duration) time.Duration { return max(bound, ratio*late) }
