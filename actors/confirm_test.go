package actors

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
)

func shared(t testing.TB) journal.Journal {
	j := memory.NewShared()
	t.Cleanup(func() { _ = j.Close() })
	return j
}

// An activation that nobody has told that it was replaced still answers. What it says must be what the other one has made of
// the lock, also when it stores nothing: what it shows, whom it refuses, and which device it takes in.
func TestAReplacedActivationSaysNothingOld(t *testing.T) {
	t.Parallel()
	a := start(t, shared(t), nil)
	b := startZombie(t, a)
	id := a.newLock()
	key := a.newKey(id, 1)
	for round := range 20 {
		// Both know the lock as it is. Then one of them changes it, and the other one is asked.
		w, other := a, b
		if round%2 == 1 {
			w, other = b, a
		}
		require.Equal(t, w.keyOf(id, key), other.keyOf(id, key))
		until := time.Now().Add(time.Duration(round+1) * time.Hour).UTC().Truncate(time.Millisecond)
		w.must(id, &lock.UpdateTempKey{By: owner, TempKeyID: key, Changes: lock.Changes{ValidUntil: &until}})
		require.Equal(t, until, other.keyOf(id, key).ValidUntil, "round %d", round)

		other.must(id, &lock.GetLock{By: owner})
		gone := w.newKey(id, 1)
		_ = other.keyOf(id, gone)
		w.must(id, &lock.DeleteTempKey{By: owner, TempKeyID: gone})
		_, err := other.open(id, gone, fmt.Sprintf("request-%d", round))
		rejected(t, err, lock.NotFound, "temp-key-not-found")
		_, err = other.Do(within(t, 10*time.Second), id, &lock.GetTempKey{TempKeyID: gone})
		rejected(t, err, lock.NotFound, "temp-key-not-found")

		_ = other.keyOf(id, key)
		hash := secretHash(fmt.Sprintf("secret-%d", round))
		w.must(id, &lock.RotateDeviceSecret{By: owner, Hash: hash})
		other.must(id, &lock.AuthenticateDevice{UUID: uuidOf(id), Hash: hash})
	}
}

// doubtful is a shared journal that cannot confirm anything while told so.
type doubtful struct {
	journal.Journal
	broken atomic.Bool
	asked  atomic.Int64
}

func (d *doubtful) Confirm(stream string, version uint64, done func(error)) {
	d.asked.Add(1)
	if d.broken.Load() {
		go done(errors.New("the database is away"))
		return
	}
	d.Journal.Confirm(stream, version, done)
}

func TestAnAnswerThatCannotBeConfirmedIsNotGiven(t *testing.T) {
	t.Parallel()
	j := &doubtful{Journal: shared(t)}
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 5)
	j.broken.Store(true)
	_, err := w.Do(within(t, 10*time.Second), id, &lock.GetTempKey{TempKeyID: key})
	rejected(t, err, lock.Busy, "lock-busy")
	session := w.connectDoubtfully(id)
	j.broken.Store(false)
	require.Zero(t, w.metric("reloads_total"), "the state was not to blame")

	// The device was not told that it is connected, and comes again.
	again := w.connect(id, opens)
	require.NotEqual(t, session, again)
	result, err := w.open(id, key, "request")
	require.NoError(t, err)
	require.Equal(t, lock.Opened, result.Outcome)
	require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)
}

// connectDoubtfully has a device come online while the journal cannot say whether this is its lock.
func (w *world) connectDoubtfully(id lock.ID) lock.Session {
	w.t.Helper()
	session := w.doors.add(id, silent)
	_, err := w.Do(within(w.t, 10*time.Second), id, &lock.ConnectDevice{Device: lock.Device{Session: session, BootID: "boot"}})
	rejected(w.t, err, lock.Busy, "lock-busy")
	return session
}

// A journal of our own is not asked: it would only say what we know.
func TestAnOwnJournalIsNotAskedToConfirm(t *testing.T) {
	t.Parallel()
	j := &doubtful{Journal: inMemory(t)}
	w := start(t, j, nil)
	id := w.newLock()
	_ = w.keyOf(id, w.newKey(id, 1))
	require.Zero(t, j.asked.Load())
}
