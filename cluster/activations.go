package cluster

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// shardCount is a power of two that keeps two cores or sixty-four from waiting for each other.
const shardCount = 128

// activations is the table of one kind's grains on this node. The way back, from a process to its identity, needs no table:
// the name of the process is the kind, a slash and the identity.
type activations struct {
	kind   string
	props  *actor.Props
	shards [shardCount]shard
}

type shard struct {
	mu     sync.RWMutex
	grains map[string]*actor.PID // by identity, whose bytes are those of the PID's name

	leaving map[*actor.PID]*eviction // of the grains those that a change of the members stops
}

func newActivations(kind string, props *actor.Props) *activations {
	a := &activations{kind: kind, props: props}
	for i := range a.shards {
		a.shards[i].grains = map[string]*actor.PID{}
	}
	return a
}

func (a *activations) shard(h uint64) *shard { return &a.shards[h%shardCount] }

func (s *shard) get(identity string) *actor.PID {
	s.mu.RLock()
	pid := s.grains[identity]
	s.mu.RUnlock()
	return pid
}

// put wants mu held.
func (a *activations) put(s *shard, pid *actor.PID) { s.grains[pid.Id[len(a.kind)+1:]] = pid }

// remove takes a grain out unless another one has its place. It also gives the eviction that has stopped it, if one has.
func (a *activations) remove(identity string, pid *actor.PID) (removed bool, e *eviction) {
	s := a.shard(hash(identity))
	s.mu.Lock()
	defer s.mu.Unlock()
	if e = s.leaving[pid]; e != nil {
		if delete(s.leaving, pid); len(s.leaving) == 0 {
			s.leaving = nil
		}
	}
	if s.grains[identity] != pid {
		return false, e
	}
	delete(s.grains, identity)
	return true, e
}

func (a *activations) count() int {
	n := 0
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.RLock()
		n += len(s.grains)
		s.mu.RUnlock()
	}
	return n
}
