package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// TestAGrainThatStopsOwesAnswers stops grains while an append is in flight. A command that was stored is answered as such, and is
// not executed again by the next activation, which would find the key gone.
func TestAGrainThatStopsOwesAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		append func(submit func()) error
		err    error
	}{
		"stored":     {func(submit func()) error { submit(); return nil }, nil},
		"not stored": {func(func()) error { return journal.ErrDeadline }, nil},
		"who knows":  {func(submit func()) error { submit(); return journal.ErrUnknown }, cluster.ErrUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newGated(t)
			w := start(t, j, nil)
			id := w.newLock()
			key := w.newKey(id, 1)
			inFlight := make(chan struct{})
			j.fail(func(_ journal.Append, submit func()) error { <-inFlight; return c.append(submit) })
			deleted := w.ask(id, &lock.DeleteTempKey{By: owner, TempKeyID: key})
			w.staged(1, deleted)
			asked := w.ask(id, &lock.GetLock{By: owner})
			w.staged(2, deleted)
			node.System().Root.Stop(w.pids()[0])
			require.Eventually(t, func() bool { return w.Owed() == 1 }, 5*time.Second, time.Millisecond)
			require.NoError(t, (<-asked).err, "the next activation does what was not in flight")
			require.Empty(t, deleted)
			close(inFlight)
			o := <-deleted
			require.ErrorIs(t, o.err, c.err)
			require.Zero(t, w.Owed())

			w.stop()
			again := start(t, j, nil)
			again.own(id)
			_, err := again.Do(within(t, 5*time.Second), id, &lock.GetTempKey{TempKeyID: key})
			rejected(t, err, lock.NotFound, "temp-key-not-found")
		})
	}
}

// A revocation that waits for an open to end was stored, so it is answered when it is safe, although its grain has gone: at its time, or
// when the next grain has stored that the open has ended. Nobody is told later than a node that leaves is listened to.
func TestAGrainThatStopsOwesRevocations(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lifetime time.Duration
		answered bool // by the device, to the next grain
		want     error
	}{
		"by time":  {time.Second, false, nil},
		"too late": {9 * time.Second, false, cluster.ErrUnknown},
		"ended":    {9 * time.Second, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, inMemory(t), nil)
			id, key, open := w.unanswered(0, c.lifetime)
			opened := w.ask(id, open)
			require.Eventually(t, func() bool { return w.metric("waiters") == 1 }, 5*time.Second, time.Millisecond)
			on := sent[*lock.SendOpen](w.doors, id)[0]
			deleted := w.ask(id, &lock.DeleteTempKey{By: owner, TempKeyID: key})
			require.Eventually(t, func() bool { return w.metric("waiters") == 2 || len(opened) > 0 }, 5*time.Second, time.Millisecond)
			node.System().Root.Stop(w.pids()[0])
			if c.answered {
				require.Eventually(t, func() bool { return w.Late() == 1 }, 5*time.Second, time.Millisecond)
				require.Empty(t, deleted, "nothing says yet that it is safe")
				w.Tell(id, opens(on))
			}
			require.ErrorIs(t, (<-deleted).err, c.want)
			require.Equal(t, c.want == nil && !c.answered, time.Now().After(on.NotAfter), "its time is %s away", time.Until(on.NotAfter))
			require.Eventually(t, func() bool { return w.Late() == 0 }, 5*time.Second, time.Millisecond)
			require.NoError(t, (<-opened).err, "it is known by its request ID")
		})
	}
}
