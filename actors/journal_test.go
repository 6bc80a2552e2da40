package actors

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
)

// gated is a journal whose appends can be held up, or answered with an error.
type gated struct {
	journal.Journal
	mu     sync.Mutex
	closed bool
	held   []func()
	seen   []journal.Append
	next   func(a journal.Append, submit func()) error // for the next append, instead of submitting it
}

func (g *gated) Submit(a journal.Append, done func(journal.Result)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, a)
	if next := g.next; next != nil {
		g.next = nil
		go func() {
			err := next(a, func() {
				stored := make(chan struct{})
				g.Journal.Submit(a, func(journal.Result) { close(stored) })
				<-stored
			})
			done(journal.Result{Err: err})
		}()
		return
	}
	if g.closed {
		g.held = append(g.held, func() { g.Journal.Submit(a, done) })
		return
	}
	g.Journal.Submit(a, done)
}

func (g *gated) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed, g.seen = true, nil
}

// open lets what is held go, and the next appends with it.
func (g *gated) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
	g.letGo()
}

// pass lets what is held go, but not what follows.
func (g *gated) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.letGo()
}

func (g *gated) letGo() {
	for _, submit := range g.held {
		submit()
	}
	g.held, g.seen = nil, nil
}

func (g *gated) appends() []journal.Append {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]journal.Append(nil), g.seen...)
}

func (g *gated) fail(next func(a journal.Append, submit func()) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next = next
}

func newGated(t testing.TB) *gated {
	return &gated{Journal: inMemory(t)}
}

type outcome struct {
	reply lock.Reply
	err   error
}

// ask sends a command and returns where its answer will come.
func (w *world) ask(id lock.ID, c lock.Command) <-chan outcome {
	answer := make(chan outcome, 1)
	go func() {
		reply, err := w.Do(within(w.t, 15*time.Second), id, c)
		answer <- outcome{reply, err}
	}()
	return answer
}

// staged waits until n commands were decided and not said, and checks that none of the answers has come.
func (w *world) staged(n int, answers ...<-chan outcome) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.metric("staged_commands") == float64(n) }, 5*time.Second, time.Millisecond)
	for _, a := range answers {
		require.Empty(w.t, a, "an answer came before it was durable")
	}
}

func TestNobodyIsAnsweredBeforeItIsDurable(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 3)
	w.connect(id, opens)

	j.shut()
	first := w.ask(id, opening(key, "first"))
	w.staged(1)
	second := w.ask(id, opening(key, "second"))
	owned := w.ask(id, &lock.SetOwner{By: owner, UserID: "u1"})
	third := w.ask(id, opening(key, "third"))
	w.staged(4)
	refused := w.ask(id, opening(key, "fourth"))
	query := w.ask(id, &lock.GetLock{By: owner})
	missing := w.ask(id, &lock.GetTempKey{TempKeyID: "none"})
	w.staged(7, first, second, third, owned, refused, query, missing)
	require.Zero(t, movements(w.doors, id), "nothing leaves before the reservation is durable")
	require.Len(t, j.appends(), 1, "one append at a time")

	j.pass()
	require.Equal(t, lock.Opened, (<-first).reply.(*lock.OpenResult).Outcome)
	require.Eventually(t, func() bool { return len(j.appends()) == 1 }, time.Second, time.Millisecond)
	w.staged(7, second, third, owned, refused, query, missing) // the seventh is the device's answer
	ride := j.appends()[0]
	require.Greater(t, len(ride.Records), 4, "what was decided meanwhile rides in one append")
	require.EqualValues(t, 4, ride.Expected)

	j.open()
	for _, a := range []<-chan outcome{second, third} {
		o := <-a
		require.NoError(t, o.err)
		require.Equal(t, lock.Opened, o.reply.(*lock.OpenResult).Outcome)
	}
	require.NoError(t, (<-owned).err)
	rejected(t, (<-refused).err, lock.Forbidden, "temp-key-used-up")
	rejected(t, (<-missing).err, lock.NotFound, "temp-key-not-found")
	o := <-query
	require.NoError(t, o.err)
	require.Equal(t, lock.UserID("u1"), o.reply.(*lock.Info).OwnerID)
	require.EqualValues(t, 3, w.keyOf(id, key).UsedCount)
}

func TestTheDevicesAnswerNeedNotBeDurable(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 0)
	w.connect(id, silent)
	answer := w.ask(id, opening(key, "first"))
	require.Eventually(t, func() bool { return movements(w.doors, id) == 1 }, time.Second, time.Millisecond)
	j.shut()
	w.Tell(id, opens(sent[*lock.SendOpen](w.doors, id)[0]))
	require.Equal(t, lock.Opened, (<-answer).reply.(*lock.OpenResult).Outcome)
	query := w.ask(id, &lock.GetTempKey{TempKeyID: key, RequestID: "first"})
	w.staged(2, query)
	j.open()
	require.Equal(t, lock.Opened, (<-query).reply.(*lock.TempKeyInfo).Open.Outcome)
}

func TestTheDevicesAnswerHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 0)
	w.connect(id, silent)
	for i := range 3 {
		answer := w.ask(id, opening(key, request(i)))
		require.Eventually(t, func() bool { return movements(w.doors, id) == i+1 }, 5*time.Second, time.Millisecond)
		j.shut()
		w.Tell(id, opens(sent[*lock.SendOpen](w.doors, id)[i]))
		require.Equal(t, lock.Opened, (<-answer).reply.(*lock.OpenResult).Outcome)
		w.staged(1)
		if i > 0 { // somebody asks before the journal has answered, or long after
			answer = w.ask(id, &lock.SetOwner{By: owner, UserID: lock.UserID(request(i))})
			w.staged(2, answer)
		}
		j.open()
		if i > 0 {
			require.NoError(t, (<-answer).err)
		}
		w.staged(0)
	}
	require.EqualValues(t, 3, w.keyOf(id, key).UsedCount)
}

func TestAnotherWriterMakesTheGrainStartAnew(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	w.connect(id, opens)

	// Another activation uses the key up; this one does not know.
	stamp := lock.Stamp{At: time.Now().UTC().Truncate(time.Millisecond), LockUUID: uuidOf(id), OrgID: org}
	version := write(t, j, Stream(id), &lock.TempKeyUsed{Stamp: stamp, TempKeyID: key, UsedCount: 1, RequestID: "elsewhere"})
	require.EqualValues(t, 3, version)

	_, err := w.open(id, key, "first")
	rejected(t, err, lock.Forbidden, "temp-key-used-up")
	require.Zero(t, movements(w.doors, id))
	require.EqualValues(t, 1, w.metric("append_failures_total"))
	online := func() bool { return w.must(id, &lock.GetLock{By: owner}).(*lock.Info).Online }
	require.Eventually(t, online, 5*time.Second, time.Millisecond, "the new one hears of the device's session")
}

func TestADevicesAnswerSurvivesItsGrain(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	w.connect(id, silent)
	answer := w.ask(id, opening(key, "first"))
	require.Eventually(t, func() bool { return movements(w.doors, id) == 1 }, 5*time.Second, time.Millisecond)
	j.shut()
	w.Tell(id, opens(sent[*lock.SendOpen](w.doors, id)[0]))
	require.Equal(t, lock.Opened, (<-answer).reply.(*lock.OpenResult).Outcome)
	stamp := lock.Stamp{At: time.Now().UTC(), LockUUID: uuidOf(id), OrgID: org}
	write(t, j, Stream(id), &lock.OwnerSet{Stamp: stamp, UserID: "u1"})
	j.open()
	require.Eventually(t, func() bool {
		open := w.must(id, &lock.GetTempKey{TempKeyID: key, RequestID: "first"}).(*lock.TempKeyInfo).Open
		return open.Outcome == lock.Opened
	}, 5*time.Second, time.Millisecond)
	require.EqualValues(t, 2, w.metric("load_seconds"))
}

// write appends events to a stream as another activation would.
func write(t *testing.T, j journal.Journal, stream string, events ...lock.Event) uint64 {
	t.Helper()
	ctx := within(t, 5*time.Second)
	head, _, err := j.Head(ctx, stream)
	require.NoError(t, err)
	a := journal.Append{Stream: stream, Expected: head, ID: "another"}
	for _, e := range events {
		typ, data, err := lock.MarshalEvent(e)
		require.NoError(t, err)
		a.Records = append(a.Records, journal.NewRecord{Type: typ, Time: time.Now(), Data: data})
	}
	r, err := journal.Do(ctx, j.(*gated).Journal, a)
	require.NoError(t, err)
	return r.Version
}

func TestALateAppendIsBusyAndWhatFollowedIsDoneAnew(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	w.connect(id, opens)
	release := make(chan struct{})
	j.fail(func(journal.Append, func()) error { <-release; return journal.ErrDeadline })
	late := w.ask(id, opening(key, "late"))
	w.staged(1)
	// The only use is staged, so this one is refused, unless the append fails.
	next := w.ask(id, opening(key, "next"))
	w.staged(2, late, next)
	close(release)
	rejected(t, (<-late).err, lock.Busy, "lock-busy")
	require.Equal(t, lock.Opened, (<-next).reply.(*lock.OpenResult).Outcome)
	require.EqualValues(t, 1, w.metric("reloads_total"))
	require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)
}

func TestAnAppendInDoubtIsLookedUp(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{true, false} {
		j := newGated(t)
		w := start(t, j, nil)
		id := w.newLock()
		key := w.newKey(id, 1)
		w.connect(id, opens)
		j.fail(func(_ journal.Append, submit func()) error {
			if stored {
				submit()
			}
			return journal.ErrUnknown
		})
		result, err := w.open(id, key, "first")
		require.NoError(t, err)
		require.Equal(t, lock.Opened, result.Outcome)
		require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)
		require.Equal(t, 1, movements(w.doors, id))
		require.EqualValues(t, 1, w.metric("reloads_total"))
	}
}

func TestAnothersAnswerToTheSameRequestIsNotTakenForOnesOwn(t *testing.T) {
	t.Parallel()
	for changed := range 2 { // the first record of the append, or its last
		j := newGated(t)
		w := start(t, j, func(o *Options) { o.OpenWait = 50 * time.Millisecond })
		id := w.newLock()
		key := w.newKey(id, 1)
		w.connect(id, opens)
		j.fail(func(a journal.Append, _ func()) error {
			a.Records = slices.Clone(a.Records)
			require.Len(t, a.Records, 2)
			r := &a.Records[changed]
			e, err := lock.UnmarshalEvent(r.Type, r.Data)
			require.NoError(t, err)
			switch e := e.(type) {
			case *lock.TempKeyUsed:
				e.At = e.At.Add(-time.Millisecond)
			case *lock.LockOpenRequested:
				e.At = e.At.Add(-time.Millisecond)
			}
			_, r.Data, err = lock.MarshalEvent(e)
			require.NoError(t, err)
			_, err = journal.Do(t.Context(), j.Journal, a)
			require.NoError(t, err)
			return journal.ErrUnknown
		})
		result, err := w.open(id, key, "first")
		require.NoError(t, err)
		require.False(t, result.Outcome.Final(), "the other one asks the device")
		require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)
		require.Zero(t, movements(w.doors, id))
	}
}

func TestAStoreThatFailsIsBusy(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, func(o *Options) { o.CallTimeout = 300 * time.Millisecond })
	id := w.newLock()
	require.NoError(t, j.Journal.(*memory.Journal).Close())
	_, err := w.Do(within(t, time.Second), id, &lock.SetOwner{By: owner, UserID: "u1"})
	var e *lock.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, lock.Busy, e.Kind)
}

func TestErrorsOfTheJournalAreTold(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	require.NoError(t, j.Journal.(*memory.Journal).Close())
	_, err := w.FindDevice(t.Context(), "x")
	require.ErrorIs(t, err, journal.ErrClosed)
	_, _, err = w.Events(t.Context(), 1, 0, 10)
	require.True(t, errors.Is(err, journal.ErrClosed))
}
