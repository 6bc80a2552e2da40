package cluster

import "sync"

// maxIdleWorkers is how many goroutines wait for mailboxes that have something to do. It is no limit on those that work.
const maxIdleWorkers = 256

// workers run mailboxes. A goroutine for every message would be as simple, but each would begin with the smallest stack and
// grow it again, which costs more than the message: a worker keeps the stack that it has grown. The one that has worked
// last works next, so that a few stacks do most of the work and stay in the processor's cache.
type workers struct {
	mu   sync.Mutex
	idle []chan *mailbox // of those that wait, each with room for one; guarded by mu
	done bool            // nobody waits any more; guarded by mu
}

// newWorkers makes workers that end when stop is closed.
func newWorkers(stop <-chan struct{}) *workers {
	w := new(workers)
	go func() {
		<-stop
		w.end()
	}()
	return w
}

// run hands the mailbox to a worker that waits, or to a new one. It does not wait.
func (w *workers) run(m *mailbox) {
	w.mu.Lock()
	last := len(w.idle) - 1
	if last < 0 {
		w.mu.Unlock()
		go w.loop(m)
		return
	}
	next := w.idle[last]
	w.idle = w.idle[:last]
	w.mu.Unlock()
	next <- m
}

func (w *workers) loop(m *mailbox) {
	for next := make(chan *mailbox, 1); m != nil; m = <-next {
		m.run()
		w.mu.Lock()
		if w.done || len(w.idle) == maxIdleWorkers {
			w.mu.Unlock()
			return
		}
		w.idle = append(w.idle, next)
		w.mu.Unlock()
	}
}

// end ends those that wait, and the others when they have nothing more to do.
func (w *workers) end() {
	w.mu.Lock()
	idle := w.idle
	w.idle, w.done = nil, true
	w.mu.Unlock()
	for _, next := range idle {
		close(next)
	}
}
