package actors

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// stormy is a journal that fails now and then, in every way that a journal may.
type stormy struct {
	journal.Journal
	mu   sync.Mutex
	rand *rand.Rand
	calm bool
	late sync.WaitGroup
}

func (s *stormy) Submit(a journal.Append, done func(journal.Result)) {
	s.mu.Lock()
	weather := s.rand.IntN(100)
	if s.calm {
		weather = 99
	}
	s.mu.Unlock()
	answer := func(err error) { go done(journal.Result{Err: err}) }
	switch {
	case weather < 3:
		answer(journal.ErrDeadline)
	case weather < 6: // the answer is lost, the commit is not
		s.Journal.Submit(a, func(r journal.Result) {
			if r.Err == nil {
				r.Err = journal.ErrUnknown
			}
			done(r)
		})
	case weather < 9: // both are lost
		answer(journal.ErrUnknown)
	case weather < 12: // the commit comes after everybody has given it up
		answer(journal.ErrUnknown)
		s.late.Go(func() {
			stored := make(chan struct{})
			time.AfterFunc(time.Duration(weather-8)*time.Millisecond, func() {
				s.Journal.Submit(a, func(journal.Result) { close(stored) })
			})
			<-stored
		})
	case weather < 14: // another activation is faster
		s.late.Go(func() { s.another(a.Stream) })
		s.Journal.Submit(a, done)
	default:
		s.Journal.Submit(a, done)
	}
}

// another writes to a stream as another activation would. It may lose the race.
func (s *stormy) another(stream string) {
	ctx, cancel := contextFor(time.Second)
	defer cancel()
	head, _, err := s.Journal.Head(ctx, stream)
	if err != nil || head == 0 {
		return
	}
	typ, data, _ := lock.MarshalEvent(&lock.OwnerSet{Stamp: lock.Stamp{At: time.Now().UTC()}, UserID: "somebody"})
	_, _ = journal.Do(ctx, s.Journal, journal.Append{
		Stream: stream, Expected: head, ID: uuid.NewString(), Records: []journal.NewRecord{{Type: typ, Time: time.Now(), Data: data}},
	})
}

// told is what a client of the storm was told.
type told struct {
	mu      sync.Mutex
	results map[lock.RequestID]*lock.OpenResult
	keys    []lock.TempKeyID
}

// Whatever the journal does: no key opens more often than it may, what was acknowledged is in the journal, and another
// activation comes to the same state.
func TestAStormLosesNothing(t *testing.T) {
	t.Parallel()
	const (
		clients = 16
		steps   = 40
		uses    = 3
	)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	j := &stormy{Journal: inMemory(t), rand: rand.New(rand.NewPCG(seed, 1)), calm: true}
	w := start(t, j, func(o *Options) { o.OpenWait = 100 * time.Millisecond })
	id := w.newLock()
	w.connect(id, opens)
	device := lock.Device{Session: lock.Session{Node: self, ID: 1}, Deadline: true, Journal: true}
	j.mu.Lock()
	j.calm = false
	j.mu.Unlock()

	heard := &told{results: map[lock.RequestID]*lock.OpenResult{}}
	var all sync.WaitGroup
	for c := range clients {
		r := rand.New(rand.NewPCG(seed, uint64(c+2)))
		all.Go(func() {
			for s := range steps {
				w.Tell(id, &lock.KeepDevice{Device: device}) // as sessions do, for activations that are new
				heard.step(t, w, id, r, fmt.Sprintf("%d-%d", c, s), uses)
			}
		})
	}
	all.Wait()
	j.late.Wait()
	j.mu.Lock()
	j.calm = true
	j.mu.Unlock()
	// Whatever activation is there writes once more, so that it knows of all the others.
	w.must(id, &lock.SetOwner{By: owner, UserID: lock.UserID(uuid.NewString())})
	heard.check(t, w, id, uses)
	t.Logf("%d opens told, %.0f appends failed, %.0f reloads, %.0f loads", len(heard.results),
		w.metric("append_failures_total"), w.metric("reloads_total"), w.metric("load_seconds"))
}

// step does one thing, which may fail for a reason that the storm gives.
func (h *told) step(t *testing.T, w *world, id lock.ID, r *rand.Rand, name string, uses int64) {
	h.mu.Lock()
	keys := h.keys
	h.mu.Unlock()
	if len(keys) == 0 || r.IntN(8) == 0 {
		key := lock.TempKeyID(uuid.NewString())
		_, err := w.Do(within(t, 20*time.Second), id, &lock.CreateTempKey{
			By: owner, UUID: key, AccessMode: lock.Public, MaxUses: &uses,
			ValidFrom: time.Now().Add(-time.Hour), ValidUntil: time.Now().Add(time.Hour),
		})
		if err == nil {
			h.mu.Lock()
			h.keys = append(h.keys, key)
			h.mu.Unlock()
		} else if !busy(err) {
			t.Errorf("create: %v", err)
		}
		return
	}
	request := "request-" + name
	for range 1 + r.IntN(2) { // some ask twice
		result, err := w.open(id, keys[r.IntN(len(keys))], request)
		var rejection *lock.Error
		switch {
		case err == nil:
			h.mu.Lock()
			h.results[result.RequestID] = result
			h.mu.Unlock()
		case busy(err):
		case errors.As(err, &rejection) && (rejection.Reason == "temp-key-used-up" || rejection.Reason == "request-id-reused"):
		default:
			t.Errorf("open: %v", err)
		}
	}
}

func busy(err error) bool {
	var e *lock.Error
	return errors.As(err, &e) && e.Kind == lock.Busy
}

func (h *told) check(t *testing.T, w *world, id lock.ID, uses int64) {
	records, total, err := w.Events(t.Context(), id, 0, 1<<20)
	require.NoError(t, err)
	require.EqualValues(t, len(records), total)
	requested := map[lock.RequestID]lock.TempKeyID{}
	commands := map[lock.CommandID]bool{}
	used := map[lock.TempKeyID]int64{}
	created := map[lock.TempKeyID]bool{}
	for _, r := range records {
		switch e := r.Event.(type) {
		case *lock.TempKeyCreated:
			created[e.Key.UUID] = true
		case *lock.LockOpenRequested:
			require.NotContains(t, requested, e.RequestID, "a request counts once")
			requested[e.RequestID] = e.TempKeyID
			commands[e.CommandID] = true
		case *lock.TempKeyUsed:
			used[e.TempKeyID]++
		case *lock.TempKeyUseReturned:
			used[e.TempKeyID]--
		}
	}
	for key, n := range used {
		require.LessOrEqual(t, n, uses, "key %s", key)
	}
	for _, key := range h.keys {
		require.True(t, created[key], "an acknowledged key is in the journal")
	}
	for request := range h.results {
		require.Contains(t, requested, request, "an acknowledged open is in the journal")
	}
	moved := map[lock.CommandID]int{}
	for _, e := range sent[*lock.SendOpen](w.doors, id) {
		moved[e.CommandID]++
		require.True(t, commands[e.CommandID], "no open leaves that is not in the journal")
		require.Equal(t, 1, moved[e.CommandID], "no open is sent twice")
	}

	live := w.must(id, &lock.ListTempKeys{By: owner}).(*lock.TempKeyList)
	w.stop()
	fresh := start(t, w.journal, nil)
	fresh.own(id)
	require.Equal(t, live, fresh.must(id, &lock.ListTempKeys{By: owner}))
	for _, k := range live.TempKeys {
		require.Equal(t, used[k.UUID], k.UsedCount)
	}
}
