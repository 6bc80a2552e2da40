package cluster

import "sync/atomic"

// maxIdleWorkers is how many goroutines wait for mailboxes that have something to do. It is no limit on those that work.
const maxIdleWorkers = 256

// workers run mailboxes. A goroutine for every message would be as simple, but each would begin with the smallest stack and
// grow it again, which costs more than the message: a worker keeps the stack that it has grown.
type workers struct {
	work chan *mailbox
	idle atomic.Int32
	stop <-chan struct{} // ends those that wait
}

func newWorkers(stop <-chan struct{}) *workers {
	return &workers{work: make(chan *mailbox), stop: stop}
}

// run hands the mailbox to a worker that waits, or to a new one. It does not wait.
func (w *workers) run(m *mailbox) {
	select {
	case w.work <- m:
	default:
		go w.loop(m)
	}
}

func (w *workers) loop(m *mailbox) {
	for {
		m.run()
		m = nil
		if w.idle.Add(1) > maxIdleWorkers {
			w.idle.Add(-1)
			return
		}
		select {
		case m = <-w.work:
			w.idle.Add(-1)
		case <-w.stop:
			return
		}
	}
}
