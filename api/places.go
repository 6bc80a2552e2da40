package api

import (
	"sync"

	"github.com/latchkey/latchkey/lock"
)

// places are for what only so many may do at a time. No organisation or user takes more than a share of them, so that nobody keeps
// the others from theirs.
type places struct {
	most, own int

	mu    sync.Mutex     // guards what follows
	taken int            // of most
	of    map[string]int // of own, by whose they are
}

func newPlaces(most, own int) *places { return &places{most: most, own: own, of: make(map[string]int)} }

// take takes a place, and gives what leaves it; nil when there is none. The operator is nobody's organisation.
func (p *places) take(c lock.Caller) (leave func()) {
	who := callerScope(c)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken == p.most || !c.Super && p.of[who] == p.own {
		return nil
	}
	p.taken++
	p.of[who]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.taken--
		if p.of[who]--; p.of[who] == 0 {
			delete(p.of, who)
		}
	}
}
