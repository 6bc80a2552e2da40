package actors

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/latchkey/latchkey/cluster/clusterpb"
	"github.com/latchkey/latchkey/lock"
)

// withheld are the revocations of a grain that has gone. They were stored, and are answered when they are safe: when their time has come,
// or before that when the journal has the ends of all commands that they wait for, which the lock's next grain stores. Who waits on a
// node that may take this one for gone by then hears before that it is not known.
type withheld struct {
	g *grain

	// Of the goroutine that watches.
	known  uint64      // the newest version that the grain knew, or that was looked at: the end of a command comes after it
	newest *lock.State // that was looked at, if the grain did not know it

	mu      sync.Mutex // guards all that follows
	ops     []*op
	watched bool
}

// newWithheld is for a grain that stops, the first of whose queue are stored, or may be.
func newWithheld(g *grain, stored int) *withheld {
	w := &withheld{g: g}
	if g.state != nil {
		w.known = g.state.Version
	}
	for i := range g.queue[stored:] { // these will never be stored
		w.known -= uint64(len(g.queue[stored+i].records))
	}
	return w
}

// add withholds the answer to a revocation, which is safe in so long at the latest.
func (w *withheld) add(o *op, in time.Duration) {
	if in <= 0 {
		o.say(w.g, o.response)
		return
	}
	patience := maxLate
	if !o.req.Deadline.IsZero() {
		left := time.Until(o.req.Deadline)
		patience = min(patience, left-max(replyMargin, left/10))
	}
	w.g.late.Add(1)
	w.mu.Lock()
	w.ops = append(w.ops, o)
	watch := !w.watched
	w.watched = true
	w.mu.Unlock()
	time.AfterFunc(min(in, patience), func() {
		if in <= patience {
			w.answer(o, o.response)
		} else {
			w.answer(o, &clusterpb.Failed{Reason: "the lock moved to another node before the revocation was safe"})
		}
	})
	if watch {
		w.g.background(w.watch) // when the shell is closed time alone answers
	}
}

// answer does so once.
func (w *withheld) answer(o *op, answer any) {
	w.mu.Lock()
	i := slices.Index(w.ops, o)
	if i >= 0 {
		w.ops = slices.Delete(w.ops, i, i+1)
	}
	w.mu.Unlock()
	if i >= 0 {
		o.say(w.g, answer)
		w.g.late.Add(-1)
	}
}

// watch looks into the journal until nobody waits.
func (w *withheld) watch() {
	tick := time.NewTicker(safePoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-w.g.shell.ctx.Done():
			return
		}
		w.mu.Lock()
		ops := slices.Clone(w.ops)
		w.watched = len(ops) > 0
		w.mu.Unlock()
		if len(ops) == 0 {
			return
		}
		w.look()
		for _, o := range ops {
			if w.newest != nil && len(w.newest.Unended(o.safe)) == 0 {
				w.answer(o, o.response)
			}
		}
	}
}

// look takes the newest state from the journal, if there is one that is not known.
func (w *withheld) look() {
	ctx, cancel := context.WithTimeout(w.g.shell.ctx, maxLate)
	defer cancel()
	if head, _, err := w.g.Journal.Head(ctx, w.g.stream()); err != nil || head <= w.known {
		return
	}
	img := new(image)
	if err := w.g.replay(ctx, w.g.stream(), img); err != nil {
		return
	}
	w.known, w.newest = img.state.Version, img.state
}
