package actors

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// A grain that starts anew is told of the session that the one before has known.
func TestASessionSurvivesAFailedAppend(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	w.connect(id, opens)
	j.fail(func(journal.Append, func()) error { return journal.ErrFailed })
	_, err := w.open(id, key, "first")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return w.must(id, &lock.GetLock{By: owner}).(*lock.Info).Online }, 5*time.Second, time.Millisecond)
	require.Empty(t, sent[*lock.CloseSession](w.doors, id))
}

// What was decided on a state that is dropped has to be done in another way, when it is about the session.
func TestASessionWhoseEndWasNeverStoredIsEnded(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	w.connect(id, silent)
	c := opening(key, "first")
	c.Lifetime = 100 * time.Millisecond
	w.ask(id, c)
	require.Eventually(t, func() bool { return movements(w.doors, id) == 1 }, 5*time.Second, time.Millisecond)
	j.fail(func(journal.Append, func()) error { return journal.ErrDeadline }) // the end of the open is not stored
	require.Eventually(t, func() bool { return len(sent[*lock.CloseSession](w.doors, id)) > 0 }, 5*time.Second, time.Millisecond)
}

// unreadable is a journal whose streams cannot be read for a while.
type unreadable struct {
	journal.Journal
	down  atomic.Bool
	tried atomic.Int32
}

func (u *unreadable) Read(ctx context.Context, stream string, after uint64, limit int) ([]journal.Record, error) {
	if u.down.Load() {
		u.tried.Add(1)
		return nil, errors.New("away")
	}
	return u.Journal.Read(ctx, stream, after, limit)
}

// A device that tells of itself while its lock cannot be loaded is known as soon as that can be.
func TestADeviceThatMetNobodyIsMetLater(t *testing.T) {
	t.Parallel()
	j := &unreadable{Journal: inMemory(t)}
	w := start(t, j, nil)
	id := w.newLock()
	session := w.doors.add(id, opens)
	for _, pid := range w.pids() {
		require.NoError(t, theNode(t).System().Root.StopFuture(pid).Wait())
	}
	j.down.Store(true)
	w.Tell(id, &lock.KeepDevice{Device: lock.Device{Session: session}})
	require.Eventually(t, func() bool { return j.tried.Load() > 2 }, 5*time.Second, time.Millisecond)
	j.down.Store(false)
	require.Eventually(t, func() bool { return w.must(id, &lock.GetLock{By: owner}).(*lock.Info).Online }, 5*time.Second, time.Millisecond)
	require.Empty(t, sent[*lock.CloseSession](w.doors, id))
}
