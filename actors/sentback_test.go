package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// A device says nothing twice. When a grain has no room for its word, the mail has.
func TestADevicesAnswerToAFullGrainIsNotLost(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id, key, open := w.unanswered(1, 8*time.Second)
	opened := w.ask(id, open)
	require.Eventually(t, func() bool { return w.metric("waiters") == 1 }, 5*time.Second, time.Millisecond)
	on := sent[*lock.SendOpen](w.doors, id)[0]
	j.shut()
	w.ask(id, &lock.SetOwner{By: owner, UserID: "somebody"})
	w.staged(1)
	for range maxStaged - 1 {
		w.ask(id, &lock.GetLock{By: owner})
	}
	w.staged(maxStaged, opened)
	w.Tell(id, opens(on))
	require.Eventually(t, func() bool { return w.shell.mail.letters.Load() == 1 }, 5*time.Second, time.Millisecond)
	j.open()
	o := <-opened
	require.NoError(t, o.err)
	require.Equal(t, lock.Opened, o.reply.(*lock.OpenResult).Outcome)
	require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)
	require.Zero(t, w.metric("letters_lost_total"))
}

// What is stored when a grain panics has happened: nobody is told that it may be done again.
func TestWhatIsStoredBeforeAPanicIsDoneOnce(t *testing.T) {
	t.Parallel()
	j := newGated(t)
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 0)
	w.connect(id, opens)
	j.shut()
	first := w.ask(id, &lock.SetOwner{By: owner, UserID: "somebody"})
	w.staged(1)
	configured := w.ask(id, &lock.SetConfig{By: owner, RelockMs: 4000})
	w.staged(2)
	used := w.ask(id, &lock.UseTempKey{By: owner, TempKeyID: key})
	w.staged(3, first, configured, used)
	w.doors.panics.Store(true)
	j.open()
	for _, answer := range []<-chan outcome{first, configured, used} {
		require.NoError(t, (<-answer).err)
	}
	require.EqualValues(t, 1, w.metric("panics_total"))
	require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)
	require.Zero(t, w.metric("staged_commands"))
}
