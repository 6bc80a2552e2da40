package collective

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// without refuses to revoke at one lock at once, as a node does that cannot load it; the other locks are real.
type without struct {
	Locks
	id lock.ID
}

func (w without) Do(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error) {
	if _, revokes := c.(*lock.DeleteTempKey); revokes && id == w.id {
		return nil, &lock.Error{Kind: lock.Busy, Reason: "unavailable", Message: "The lock could not be read from the journal."}
	}
	return w.Locks.Do(ctx, id, c)
}

// A lock that fails at once, and fails again whenever it is asked, keeps no other door of a revoked key open.
func TestALockThatFailsKeepsNoOtherDoorOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(manyDoors)
	k := w.keys(without{w.locks, locks[0]}, w.Journal)
	key, err := k.Create(w.ctx(), ask(locks))
	require.NoError(t, err)
	rejected(t, k.Revoke(w.ctx(), owner, key.UUID), lock.Busy, "revocation-under-way")
	require.Equal(t, 1, w.parts(locks), "that of the lock that fails")
	require.ErrorContains(t, k.sweep(w.ctx()), "lock "+locks[0].String()+": ", "who reads the log has to mend it")

	require.NoError(t, w.sweep(w.ctx()), "the lock is mended")
	require.Zero(t, w.parts(locks))
}
