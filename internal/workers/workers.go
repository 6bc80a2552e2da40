// Package workers runs what wakes up now and then and works shortly: grains and sessions, of which there may be a hundred
// thousand. A goroutine for each time would be as simple, but each would begin with the smallest stack and grow it again,
// which costs more than the work: a worker keeps the stack that it has grown.
package workers

import "sync/atomic"

// maxIdle is how many workers wait for something to do. It is no limit on those that work.
const maxIdle = 256

// Pool is a set of goroutines that do something with Ts.
type Pool[T any] struct {
	do   func(T)
	work chan T
	idle atomic.Int32
	stop <-chan struct{}
}

// New makes a pool of workers that call do. When stop is closed the workers that wait end; others end when they are done.
func New[T any](do func(T), stop <-chan struct{}) *Pool[T] {
	return &Pool[T]{do: do, work: make(chan T), stop: stop}
}

// Run hands t to a worker that waits, or to a new one. It does not wait.
func (p *Pool[T]) Run(t T) {
	select {
	case p.work <- t:
	default:
		go p.loop(t)
	}
}

func (p *Pool[T]) loop(t T) {
	for {
		p.do(t)
		var none T
		t = none // what is done with is not held by whoever waits
		if p.idle.Add(1) > maxIdle {
			p.idle.Add(-1)
			return
		}
		select {
		case t = <-p.work:
			p.idle.Add(-1)
		case <-p.stop:
			return
		}
	}
}
