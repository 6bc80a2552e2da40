package collective

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
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

// A name that is known by its user only, from before, may be of a key of another organisation: nobody gets the link to that.
func TestANameNeverTellsOfAnothersKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(2)
	mine := lock.Caller{OrgID: owner.OrgID, UserID: "ann"}
	c := ask(locks)
	c.By = mine
	first, err := w.Create(w.ctx(), c)
	require.NoError(t, err)
	m := named.Remembered{At: w.Now(), Mark: named.Mark{Of: "user:ann", Key: "n1", Hash: []byte("a")}, Stream: streamOf(first.UUID), Version: 2}
	data, err := json.Marshal(m)
	require.NoError(t, err)
	_, err = journal.Do(w.ctx(), w.Journal, journal.Append{
		Stream: named.StreamPrefix + "1", ID: "1", Index: m.Claims(m.At), Records: []journal.NewRecord{{Type: named.RecordType, Time: m.At, Data: data}},
	})
	require.NoError(t, err)
	for _, c.By = range []lock.Caller{{UserID: "ann"}, {OrgID: "umbrella", UserID: "ann"}, mine} {
		request := &named.Request{By: c.By, Key: "n1", Hash: []byte("a")}
		key, err := w.Create(named.With(w.ctx(), request), c)
		if c.By == mine {
			require.NoError(t, err)
			require.Equal(t, first.UUID, key.UUID)
			require.True(t, request.Replayed)
			continue
		}
		rejected(t, err, lock.NotFound, "lock-not-found")
		require.False(t, request.Replayed)
	}
}
