package cluster

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// stopBatch is how many grains are told to stop before they may do so.
const stopBatch = 256

// An eviction is what a new view takes from this node: the grains that are another node's now. It lasts until the last of them
// has gone. None of them can act meanwhile (mailbox.refuses), so it is about memory only.
type eviction struct {
	began time.Time
	left  atomic.Int64 // grains that have not gone, and one more while they are told
}

// evict stops the grains that are not this node's under a view; it returns how many these are.
func (l *lookup) evict(v *view) (moved int) {
	e := &eviction{began: time.Now()}
	e.left.Store(1)
	var pids []*actor.PID
	for _, a := range l.kinds {
		for i := range a.shards {
			pids = a.shards[i].evict(a, v, e, pids[:0])
			for _, pid := range pids {
				l.system.Root.Stop(pid)
				if moved++; moved%stopBatch == 0 {
					runtime.Gosched() // the grains that stop get their turn, or each would soon hold a goroutine
				}
			}
		}
	}
	if moved > 0 {
		l.gone(e)
	}
	return moved
}

// evict gives the grains that an eviction takes, but for those that stop already because of an earlier one.
func (s *shard) evict(a *activations, v *view, e *eviction, into []*actor.PID) []*actor.PID {
	s.mu.Lock()
	defer s.mu.Unlock()
	for identity, pid := range s.grains {
		if v.owns(a.kind, hash(identity)) || s.leaving[pid] != nil {
			continue
		}
		if s.leaving == nil {
			s.leaving = map[*actor.PID]*eviction{}
		}
		s.leaving[pid] = e
		e.left.Add(1)
		into = append(into, pid)
	}
	return into
}

// stopped is called by the mailbox of a grain whose actor is gone.
func (l *lookup) stopped(pid *actor.PID) {
	kind, identity := Identity(pid)
	a := l.kinds[kind]
	if a == nil {
		return
	}
	removed, e := a.remove(identity, pid)
	if removed {
		l.metrics.terminations.Inc()
	}
	if e != nil {
		l.gone(e)
	}
}

// gone takes one off what is left of an eviction.
func (l *lookup) gone(e *eviction) {
	if e.left.Add(-1) == 0 {
		l.metrics.evictions.Observe(time.Since(e.began).Seconds())
	}
}

// owned tells whether what runs under a name may run on this node, and the number of the view that says so.
func (l *lookup) owned(pid *actor.PID) (view uint64, owned bool) {
	v := l.view.Load()
	kind, identity := Identity(pid)
	return v.number, l.kinds[kind] == nil || mayRun(v, kind, hash(identity)) // the placement actors are no grains
}
