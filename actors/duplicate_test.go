package actors

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// duel is a journal in which two activations of a lock meet: an open that it was told to await is held until the other
// activation has come with one too. By then both have said yes to the same key, each on its own state.
type duel struct {
	journal.Journal

	mu       sync.Mutex
	rounds   map[string]*round // by stream; guarded by mu
	meetings atomic.Int64
	uneven   atomic.Int64 // meetings of opens that were decided on different versions
}

// round is one meeting.
type round struct {
	order order
	first func(then func())
	after uint64 // the version that the first was decided on
	met   bool
	ended chan struct{} // closed when the journal has the opening of the door
}

// order is how the two come to the journal.
type order int

const (
	together order = iota
	asTheyCame
	reversed
	orders
)

// await makes the next two opens of a stream meet.
func (d *duel) await(stream string, o order) (ended <-chan struct{}) {
	r := &round{order: o, ended: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rounds[stream] = r
	return r.ended
}

// Submit holds the first of two opens that are to meet.
func (d *duel) Submit(a journal.Append, done func(journal.Result)) {
	if contains(a, &lock.LockOpened{}) {
		d.Journal.Submit(a, d.ends(a, done))
		return
	}
	submit := func(then func()) {
		d.Journal.Submit(a, func(r journal.Result) {
			done(r)
			then()
		})
	}
	nothing := func() {}
	if !contains(a, &lock.LockOpenRequested{}) {
		submit(nothing)
		return
	}
	d.mu.Lock()
	r := d.rounds[a.Stream]
	if r.met {
		d.mu.Unlock()
		submit(nothing)
		return
	}
	if r.first == nil {
		r.first, r.after = submit, a.Expected
		d.mu.Unlock()
		return
	}
	r.met = true
	d.mu.Unlock()
	d.meetings.Add(1)
	if r.after != a.Expected {
		d.uneven.Add(1)
	}
	switch r.order {
	case together:
		r.first(nothing)
		submit(nothing)
	case asTheyCame:
		r.first(func() { submit(nothing) })
	default:
		submit(func() { r.first(nothing) })
	}
}

// ends notes that the door has opened, when the journal says so.
func (d *duel) ends(a journal.Append, done func(journal.Result)) func(journal.Result) {
	return func(res journal.Result) {
		done(res)
		d.mu.Lock()
		defer d.mu.Unlock()
		if r := d.rounds[a.Stream]; res.Err == nil && r.ended != nil {
			close(r.ended)
			r.ended = nil
		}
	}
}

func contains(a journal.Append, e lock.Event) bool {
	return slices.ContainsFunc(a.Records, func(r journal.NewRecord) bool { return r.Type == e.EventType() })
}

// Two activations of a lock may not know of each other. Both say yes to the last use of a key, on the same version of the lock; the
// one that writes second finds out, and begins anew.
func TestTwoActivationsGiveOneUseOnce(t *testing.T) {
	t.Parallel()
	const (
		ofALock = 10 // rounds: who has lost tries again, and who has won as well
		atOnce  = 32 // locks: a round is mostly waiting, as the loser's callers pause
	)
	rounds := ofALock * dose.Of(20, 1000)
	d := &duel{Journal: shared(t), rounds: map[string]*round{}}
	a := start(t, d, nil)
	b := startZombie(t, a)
	var all sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for range rounds / ofALock {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			meet(t, d, a, b, ofALock)
		})
	}
	all.Wait()
	require.EqualValues(t, rounds, d.meetings.Load(), "meetings")
	require.Zero(t, d.uneven.Load(), "meetings of opens of different versions")
	conflicts := a.metric("append_failures_total") + b.metric("append_failures_total")
	t.Logf("%d rounds, %.0f conflicts", rounds, conflicts)
	require.GreaterOrEqual(t, conflicts, float64(rounds))
}

// meet has two nodes open one lock with the same keys, which are good for one use, at the same time.
func meet(t *testing.T, d *duel, a, b *world, rounds int) {
	id := a.newLock()
	var moved atomic.Int64
	motor := func(e *lock.SendOpen) *lock.AnswerOpen {
		moved.Add(1)
		return opens(e)
	}
	here := [...]*world{a, b}
	var devices [len(here)]lock.Device
	for i, w := range here {
		devices[i] = lock.Device{Session: w.connect(id, motor), Deadline: true, Journal: true}
	}
	for round := range rounds {
		key := here[round%len(here)].newKey(id, 1)
		for i, w := range here { // both learn of the key, and are alive
			w.must(id, &lock.KeepDevice{Device: devices[i]})
		}
		ended := d.await(Stream(id), order(round%int(orders)))
		var opened atomic.Int64
		var all sync.WaitGroup
		for i := range 2 * len(here) {
			all.Go(func() {
				result, err := here[i%len(here)].open(id, key, fmt.Sprintf("request-%d-%d", round, i))
				var rejection *lock.Error
				switch {
				case err == nil && result.Outcome == lock.Opened:
					opened.Add(1)
				case errors.As(err, &rejection) && rejection.Reason == "temp-key-used-up":
				default:
					t.Errorf("%s, round %d, request %d: %+v, %v", Stream(id), round, i, result, err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, opened.Load(), "%s, round %d: opens that were told", Stream(id), round)
		require.EqualValues(t, round+1, moved.Load(), "%s, round %d: movements of the motor", Stream(id), round)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			require.Fail(t, "the journal never had the end of the open", "%s, round %d", Stream(id), round)
		}
	}
	uses := map[lock.TempKeyID]int{}
	records, _, err := a.Events(t.Context(), id, 0, 1<<10)
	require.NoError(t, err)
	for _, r := range records {
		switch e := r.Event.(type) {
		case *lock.TempKeyUsed:
			uses[e.TempKeyID]++
		case *lock.TempKeyUseReturned:
			require.Fail(t, "a use came back", "%s", Stream(id))
		}
	}
	require.Len(t, uses, rounds)
	for key, n := range uses {
		require.Equal(t, 1, n, "uses of %s in the journal", key)
	}
}
