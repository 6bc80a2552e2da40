package collective

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

// doomed is a process that is killed after so many steps: a step is an append of the key, or a command to a lock. The one
// in which it dies has either happened or not, and nobody hears of it.
type doomed struct {
	journal.Journal
	locks  Locks
	left   atomic.Int64
	last   bool // the step in which it dies happens
	killed context.CancelFunc
}

var errKilled = errors.New("killed")

// step tells whether the step happens, and whether its end is seen.
func (d *doomed) step() (happens, seen bool) {
	left := d.left.Add(-1)
	if left < 0 {
		d.killed()
	}
	return left >= 0 || left == -1 && d.last, left >= 0
}

func (d *doomed) Submit(a journal.Append, done func(journal.Result)) {
	happens, seen := d.step()
	switch {
	case seen:
		d.Journal.Submit(a, done)
	case happens:
		stored := make(chan struct{})
		d.Journal.Submit(a, func(journal.Result) { close(stored) })
		<-stored // before the test looks
		go done(journal.Result{Err: errKilled})
	default:
		go done(journal.Result{Err: errKilled})
	}
}

func (d *doomed) Do(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error) {
	if _, query := c.(*lock.GetLock); query {
		return d.locks.Do(ctx, id, c)
	}
	happens, seen := d.step()
	if !happens {
		return nil, errKilled
	}
	reply, err := d.locks.Do(context.WithoutCancel(ctx), id, c)
	if !seen {
		return nil, errKilled
	}
	return reply, err
}

// dying gives the keys of a process that dies after so many steps, and its life.
func (w *world) dying(steps int64, last bool) (*Keys, context.Context) {
	ctx, cancel := context.WithCancel(w.ctx())
	d := &doomed{Journal: w.Journal, locks: w.locks, last: last, killed: cancel}
	d.left.Store(steps)
	return w.keys(d, d), ctx
}

const manyDoors = MaxDoors

// Whatever step a process dies in while it creates a key, in the end every door is granted, or none.
func TestACrashWhileCreatingGrantsEveryDoorOrNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(manyDoors)
	c := ask(locks)
	w.ahead.Store(0)
	granted := 0
	for steps := int64(0); granted == 0; steps++ {
		require.LessOrEqual(t, steps, int64(manyDoors+2))
		for _, last := range []bool{false, true} {
			k, life := w.dying(steps, last)
			key, err := k.Create(life, c)
			if err == nil {
				granted++
				require.Equal(t, manyDoors, w.parts(locks))
				require.NoError(t, w.Revoke(w.ctx(), owner, key.UUID))
				continue
			}
			w.ahead.Store(int64(giveUpAfter + time.Second))
			require.NoError(t, w.sweep(w.ctx()))
			w.ahead.Store(0)
			// All of them only when the last record was stored, and nobody heard of it.
			page, err := w.List(w.ctx(), owner, locks[0], "", 1000, 1000)
			require.NoError(t, err)
			alive := 0
			for _, key := range page.Keys {
				if key.RevokedAt == nil {
					alive++
					require.Equal(t, manyDoors, w.parts(locks), "after %d steps", steps)
					require.NoError(t, w.Revoke(w.ctx(), owner, key.UUID))
				}
			}
			if alive > 0 {
				require.True(t, last && steps == manyDoors+1, "after %d steps", steps)
			}
			require.Zero(t, w.parts(locks), "after %d steps, the last one seen to: %v", steps, last)
			rows, err := w.Journal.Entries(w.ctx(), unfinishedKind, unfinishedKey, "", 1000)
			require.NoError(t, err)
			for _, row := range rows {
				s, err := w.load(w.ctx(), lock.TempKeyID(row.Ref))
				require.NoError(t, err)
				require.NotEqual(t, locks[0], s.Doors[0].LockID, "it is still said to be half done")
			}
		}
	}
	require.Equal(t, 2, granted)
}

// Whatever step a process dies in while it revokes a key, all doors are revoked in the end, unless nobody ever knew of
// it; and no door is left when somebody was told that it is done.
func TestACrashWhileRevokingRevokesEveryDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(manyDoors)
	done := 0
	for steps := int64(0); done == 0; steps++ {
		require.LessOrEqual(t, steps, int64(manyDoors+2))
		for _, last := range []bool{false, true} {
			key, err := w.Create(w.ctx(), ask(locks))
			require.NoError(t, err)
			k, life := w.dying(steps, last)
			if err := k.Revoke(life, owner, key.UUID); err == nil {
				done++
				require.Zero(t, w.parts(locks))
				continue
			}
			require.NoError(t, w.sweep(w.ctx()))
			if steps == 0 && !last {
				require.Equal(t, manyDoors, w.parts(locks), "the revocation was never stored")
				require.NoError(t, w.Revoke(w.ctx(), owner, key.UUID))
			}
			require.Zero(t, w.parts(locks), "after %d steps", steps)
			got, err := w.Get(w.ctx(), key.UUID)
			require.NoError(t, err)
			require.NotNil(t, got.RevokedAt)
		}
	}
	require.Equal(t, 2, done)
}

// Somebody who takes a slow creation for a dead one undoes it, and the slow one is told so.
func TestASlowCreationThatWasGivenUpGrantsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(3)
	c := ask(locks)
	doors, err := w.look(w.ctx(), &c)
	require.NoError(t, err)
	r, pin, err := w.request(&c, doors)
	require.NoError(t, err)
	s := new(state)
	require.NoError(t, w.append(w.ctx(), s, r))
	require.NoError(t, w.sweep(w.ctx()))
	require.NoError(t, w.grant(w.ctx(), s, c.By, pin), "it may be under way")
	w.ahead.Store(int64(giveUpAfter + time.Second))
	require.NoError(t, w.sweep(w.ctx()))
	require.ErrorIs(t, w.append(w.ctx(), s, &granted{At: millis(w.Now())}), journal.ErrConflict)
	require.Zero(t, w.parts(locks))
	_, err = w.Get(w.ctx(), r.UUID)
	rejected(t, err, lock.NotFound, "temp-key-not-found")
}
