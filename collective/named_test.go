package collective

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

func under(ctx context.Context, key, body string) context.Context {
	return named.With(ctx, &named.Request{By: owner, Key: key, Hash: []byte(body)})
}

func TestANamedRequestGetsItsKeyAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(3)
	c := ask(locks)
	first, err := w.Create(under(w.ctx(), "n1", "a"), c)
	require.NoError(t, err)
	require.Len(t, first.PIN, pinDigits)
	require.NoError(t, w.Revoke(w.ctx(), owner, first.UUID))
	again, err := w.Create(under(w.ctx(), "n1", "a"), c)
	require.NoError(t, err)
	require.Equal(t, first.UUID, again.UUID)
	require.Equal(t, first.Doors, again.Doors)
	require.True(t, again.HasPIN)
	require.Empty(t, again.PIN, "the code is told once")
	require.Zero(t, w.parts(locks), "what was revoked since stays revoked")

	_, err = w.Create(under(w.ctx(), "n1", "b"), c)
	rejected(t, err, lock.Mismatch, "idempotency-key-reused")
	// What was refused has not taken the name.
	bad := ask(append(w.newLocks(1), 1<<40))
	_, err = w.Create(under(w.ctx(), "n2", "c"), bad)
	rejected(t, err, lock.NotFound, "lock-not-found")
	other, err := w.Create(under(w.ctx(), "n2", "d"), c)
	require.NoError(t, err)
	require.NotEqual(t, first.UUID, other.UUID)
}

// Nodes that carry the same request out at the same time grant one key, and all of them answer with it.
func TestNodesGrantOneKeyForAName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(4)
	c := ask(locks)
	c.Doors[0].Access, c.Doors[2].Access = ByKey, ByKey // two codes of one lock would be in each other's way at times
	ids := make([]lock.TempKeyID, 6)
	var all sync.WaitGroup
	for i := range ids {
		k := w.keys(w.locks, w.Journal)
		all.Go(func() {
			key, err := k.Create(under(w.ctx(), "n1", "a"), c)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = key.UUID
		})
	}
	all.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	require.Equal(t, len(locks), w.parts(locks))
	page, err := w.List(w.ctx(), owner, 0, "", 100, 100)
	require.NoError(t, err)
	require.Len(t, page.Keys, 1)
}

// Whatever step a process dies in, the same request on another one has every door granted, once.
func TestANamedRequestAfterACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(3)
	for steps := int64(0); steps <= 5; steps++ {
		for _, last := range []bool{false, true} {
			name := time.Duration(steps).String() + map[bool]string{true: "!"}[last]
			k, life := w.dying(steps, last)
			_, _ = k.Create(under(life, name, "a"), ask(locks))
			key, err := w.Create(under(w.ctx(), name, "a"), ask(locks))
			require.NoError(t, err)
			w.ahead.Store(int64(giveUpAfter + time.Second))
			require.NoError(t, w.sweep(w.ctx()))
			w.ahead.Store(0)
			require.Equal(t, len(locks), w.parts(locks), "after %d steps", steps)
			require.NoError(t, w.Revoke(w.ctx(), owner, key.UUID))
			require.Zero(t, w.parts(locks))
		}
	}
}
