// Package workers runs what wakes up now and then and works shortly: grains and sessions, of which there may be a hundred
// thousand. A goroutine for each time would be as simple, but each would begin with the smallest stack and grow it again,
// which costs more than the work: a worker keeps the stack that it has grown. The one that has worked last works next, so
// that a few stacks do most of the work and stay in the processor's cache.
//
// What comes in a burst, as when the journal answers a batch, waits in one queue, and a worker that is done takes the next of
// it: to wake one worker for each would cost more than many of them do. As long as something waits there is a worker on its
// way to take it, which wakes the next one before it begins. So what takes long, or waits, holds up nothing behind it.
package workers

import (
	"sync"

	"github.com/latchkey/latchkey/internal/ring"
)

const (
	// maxIdle is how many workers wait for something to do: more than wake at once when the journal answers a few hundred
	// opens. It is no limit on those that work.
	maxIdle = 512
	// keptQueue is the longest queue whose memory is kept when nothing waits any more.
	keptQueue = 1024
)

// Pool is a set of goroutines that do something with Ts.
type Pool[T any] struct {
	do func(T)

	mu     sync.Mutex // guards all that follows
	queue  ring.Ring[T]
	idle   []chan struct{} // wake the workers that wait, each with room for one
	coming bool            // a worker was woken, or started, that has not looked at the queue yet
	done   bool            // nobody waits any more
}

// New makes a pool of workers that call do. When stop is closed the workers that wait end; others end when they are done.
func New[T any](do func(T), stop <-chan struct{}) *Pool[T] {
	p := &Pool[T]{do: do}
	go func() {
		<-stop
		p.end()
	}()
	return p
}

// Run hands t to a worker. It does not wait.
func (p *Pool[T]) Run(t T) {
	p.mu.Lock()
	p.queue.Push(t)
	p.callAndUnlock()
}

// callAndUnlock sees to it that a worker comes.
func (p *Pool[T]) callAndUnlock() {
	if p.coming {
		p.mu.Unlock()
		return
	}
	p.coming = true
	last := len(p.idle) - 1
	if last < 0 {
		p.mu.Unlock()
		go p.work()
		return
	}
	wake := p.idle[last]
	p.idle = p.idle[:last]
	p.mu.Unlock()
	wake <- struct{}{}
}

func (p *Pool[T]) work() {
	wake := make(chan struct{}, 1)
	for ok := true; ok; _, ok = <-wake {
		p.mu.Lock()
		p.coming = false
		for p.queue.Len() > 0 {
			t := p.queue.Pop()
			if p.queue.Len() > 0 {
				p.callAndUnlock()
			} else {
				p.queue.Release(keptQueue)
				p.mu.Unlock()
			}
			p.do(t)
			p.mu.Lock()
		}
		if p.done || len(p.idle) == maxIdle {
			p.mu.Unlock()
			return
		}
		p.idle = append(p.idle, wake)
		p.mu.Unlock()
	}
}

func (p *Pool[T]) end() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.done = nil, true
	p.mu.Unlock()
	for _, wake := range idle {
		close(wake)
	}
}
