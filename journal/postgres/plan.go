package postgres

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/batch"
)

// pending is an append on its way to its answer.
type pending struct {
	*batch.Item
	answered bool
	doubt    bool // it was in a statement of which nobody knows whether it happened
}

func (p *pending) answer(r journal.Result) { p.Result, p.answered = r, true }

func (p *pending) fail(err error) { p.answer(journal.Result{Err: err}) }

func (p *pending) version() uint64 { return p.Expected + uint64(len(p.Records)) }

// maxVersion is beyond what any stream reaches, and what PostgreSQL counts to.
const maxVersion = math.MaxInt64 / 2

// knowledge is what was learnt of the database while a batch was on its way. A head may be out of date by the time it is
// used, but never ahead; claims are for ever.
type knowledge struct {
	heads map[string]uint64
	taken map[place]string // claims, and the streams that hold them
}

func (k *knowledge) forget() {
	clear(k.heads)
	clear(k.taken)
}

// place is a claim, or with a ref an entry.
type place struct{ kind, key, ref string }

// chain is what one statement adds to one stream: appends that build on each other. They happen together or not at all.
type chain struct {
	stream  string
	links   []*pending
	misfits []*pending // came while the chain expected another version: conflicts, if the chain happens
	version uint64     // after the last link
	open    bool       // nothing of this stream had to be put off
}

// wish is a claim that a chain wants.
type wish struct {
	stream string
	fresh  bool // it must not have been the stream's before
}

// change is what becomes of an entry.
type change struct {
	stream string
	put    bool // otherwise it is removed,
	anyone bool // whoever has it, because the chain itself has put it before
}

// plan is what one statement writes: no stream, claim or entry twice.
type plan struct {
	chains  []*chain // in the order of the streams' names
	claims  map[place]wish
	entries map[place]change
}

// planOf makes a plan of those that are left of a batch, in their order. What known tells to be in vain it answers at
// once. What cannot be in the same statement as something before it is left for the next one.
func planOf(left []*pending, known *knowledge) *plan {
	p := &plan{claims: map[place]wish{}, entries: map[place]change{}}
	chains := make(map[string]*chain, len(left))
	for _, a := range left {
		c := chains[a.Stream]
		if c != nil && !c.open {
			continue
		}
		if c != nil && a.Expected != c.version {
			c.misfits = append(c.misfits, a)
			continue
		}
		if !a.doubt { // one in doubt is looked for among the records first
			if err := known.against(a, c); err != nil {
				a.fail(err)
				continue
			}
		}
		if c == nil {
			c = &chain{stream: a.Stream, open: true}
			chains[a.Stream] = c
		}
		if p.collides(a) {
			c.open = false
			continue
		}
		c.links, c.version = append(c.links, a), a.version()
		p.index(a)
	}
	for _, c := range chains {
		if len(c.links) > 0 {
			p.chains = append(p.chains, c)
		}
	}
	slices.SortFunc(p.chains, func(a, b *chain) int { return strings.Compare(a.stream, b.stream) })
	return p
}

// against tells why the append, which would join a chain or begin one, is known to be in vain.
func (k *knowledge) against(a *pending, c *chain) error {
	if c == nil {
		if err := k.conflict(a); err != nil {
			return err
		}
	}
	return k.claimed(a)
}

// conflict tells whether the append is known to expect a version that the stream is not at.
func (k *knowledge) conflict(a *pending) error {
	head, known := k.heads[a.Stream]
	switch {
	case known && head != a.Expected:
		return fmt.Errorf("%w: %s is at %d, not at %d", journal.ErrConflict, a.Stream, head, a.Expected)
	case a.Expected > maxVersion:
		return fmt.Errorf("%w: %s is not at %d", journal.ErrConflict, a.Stream, a.Expected)
	}
	return nil
}

// claimed tells whether the append wants a claim that is known to be another stream's, or its own when it has to be new. Its own
// may have come with a version that it does not know of, which is a conflict first: so the head has to be known.
func (k *knowledge) claimed(a *pending) error {
	_, headKnown := k.heads[a.Stream]
	for _, c := range a.Index {
		if c.Op != journal.Claim {
			continue
		}
		holder := k.taken[place{kind: c.Kind, key: c.Key}]
		if holder != "" && (holder != a.Stream || c.New && headKnown) {
			return &journal.ClaimError{Kind: c.Kind, Key: c.Key, Stream: holder}
		}
	}
	return nil
}

// collides tells whether another stream in this plan touches a claim or an entry that the append touches too, or its own has a
// claim there that the append wants to be new.
func (p *plan) collides(a *pending) bool {
	for _, c := range a.Index {
		at := place{c.Kind, c.Key, c.Ref}
		if c.Op == journal.Claim {
			if other, ok := p.claims[at]; ok && (c.New || other.stream != a.Stream) {
				return true
			}
		} else if other, ok := p.entries[at]; ok && other.stream != a.Stream {
			return true
		}
	}
	return false
}

// index notes what becomes of the append's claims and entries; for an entry the last change counts.
func (p *plan) index(a *pending) {
	for _, c := range a.Index {
		at := place{c.Kind, c.Key, c.Ref}
		switch c.Op {
		case journal.Claim:
			p.claims[at] = wish{stream: a.Stream, fresh: c.New || p.claims[at].fresh}
		case journal.Put:
			p.entries[at] = change{stream: a.Stream, put: true}
		case journal.Remove:
			before := p.entries[at]
			p.entries[at] = change{stream: a.Stream, anyone: before.put || before.anyone}
		}
	}
}

// size is how many appends are in the chains.
func size(chains []*chain) (n int) {
	for _, c := range chains {
		n += len(c.links)
	}
	return n
}

// happened answers a chain whose first record is at the position after `before`, and returns the last position.
func (c *chain) happened(before uint64, known *knowledge) (last uint64) {
	for _, a := range c.links {
		before += uint64(len(a.Records))
		a.answer(journal.Result{Version: a.version(), Position: before})
	}
	for _, a := range c.misfits {
		if !a.doubt {
			a.fail(fmt.Errorf("%w: %s is not at %d", journal.ErrConflict, a.Stream, a.Expected))
		}
	}
	known.heads[c.stream] = c.version
	return before
}
