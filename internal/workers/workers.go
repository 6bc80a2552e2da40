// Package workers runs what wakes up now and then and works shortly: grains and sessions, of which there may be a hundred
// thousand. A goroutine for each time would be as simple, but each would begin with the smallest stack and grow it again,
// which costs more than the work: a worker keeps the stack that it has grown. The one that has worked last works next, so
// that a few stacks do most of the work and stay in the processor's cache.
package workers

import "sync"

// maxIdle is how many workers wait for something to do: more than wake at once when the journal answers a few hundred opens.
// It is no limit on those that work.
const maxIdle = 512

// Pool is a set of goroutines that do something with Ts.
type Pool[T any] struct {
	do func(T)

	mu   sync.Mutex
	idle []chan T // of those that wait, each with room for one; guarded by mu
	done bool     // nobody waits any more; guarded by mu
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

// Run hands t to a worker that waits, or to a new one. It does not wait.
func (p *Pool[T]) Run(t T) {
	p.mu.Lock()
	last := len(p.idle) - 1
	if last < 0 {
		p.mu.Unlock()
		go p.loop(t)
		return
	}
	next := p.idle[last]
	p.idle = p.idle[:last]
	p.mu.Unlock()
	next <- t
}

func (p *Pool[T]) loop(t T) {
	next := make(chan T, 1)
	for ok := true; ok; t, ok = <-next {
		p.do(t)
		p.mu.Lock()
		if p.done || len(p.idle) == maxIdle {
			p.mu.Unlock()
			return
		}
		p.idle = append(p.idle, next)
		p.mu.Unlock()
	}
}

func (p *Pool[T]) end() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.done = nil, true
	p.mu.Unlock()
	for _, next := range idle {
		close(next)
	}
}
