package collective

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// before is what the locks were when every name was good: they grant a door to the owner, whoever asks.
type before struct{ Locks }

func (b before) Do(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error) {
	if grant, ok := c.(*lock.CreateTempKey); ok {
		c := *grant
		c.By = owner
		return b.Locks.Do(ctx, id, &c)
	}
	return b.Locks.Do(ctx, id, c)
}

// Names that turn text were good once. A key that was made under one ends at all its doors, whoever of those revokes it who may.
func TestAKeyUnderANameFromBeforeIsRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(3)
	odd := lock.Caller{OrgID: "hotel\u202e", UserID: "ann\u2028"}
	for _, by := range []lock.Caller{odd, {OrgID: odd.OrgID}, super} {
		c := ask(locks)
		k := w.keys(before{w.locks}, w.Journal)
		doors, err := k.look(w.ctx(), &c)
		require.NoError(t, err)
		c.By = odd
		key, err := k.create(w.ctx(), &c, doors)
		require.NoError(t, err)
		require.Equal(t, len(locks), w.parts(locks))

		require.NoError(t, w.Revoke(w.ctx(), by, key.UUID))
		require.Zero(t, w.parts(locks))
		_, err = w.Create(w.ctx(), c)
		rejected(t, err, lock.Forbidden, "caller-invalid")
	}
}
