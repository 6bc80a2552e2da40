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

// A grain that starts anew knows of no session, and the device of one that lives on would tell nobody.
func TestASessionThatNobodyKnowsIsEnded(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	session := w.connect(id, opens)
	j.fail(func(journal.Append, func()) error { return journal.ErrFailed })
	w.ask(id, opening(key, "first"))
	require.Eventually(t, func() bool { return len(sent[*lock.CloseSession](w.doors, id)) > 0 }, 5*time.Second, time.Millisecond)
	require.Equal(t, session, sent[*lock.CloseSession](w.doors, id)[0].Session)
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
	down atomic.Bool
}

func (u *unreadable) Read(ctx context.Context, stream string, after uint64, limit int) ([]journal.Record, error) {
	if u.down.Load() {
		return nil, errors.New("away")
	}
	return u.Journal.Read(ctx, stream, after, limit)
}

// A device that makes itself known while its lock cannot be loaded has to come again.
func TestADeviceThatMetNobodyIsEnded(t *testing.T) {
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
	require.Eventually(t, func() bool { return len(sent[*lock.CloseSession](w.doors, id)) > 0 }, 5*time.Second, time.Millisecond)
	require.Equal(t, session, sent[*lock.CloseSession](w.doors, id)[0].Session)
}
