package collective

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

func TestAKeyGrantsAllItsDoors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(5)
	key, err := w.Create(w.ctx(), ask(locks))
	require.NoError(t, err)
	require.Len(t, key.Doors, 5)
	require.Len(t, key.PIN, pinDigits)
	require.Equal(t, 5, w.parts(locks))
	for i := range key.Doors {
		d := key.Door(int64(i) + 1)
		require.Equal(t, locks[i], d.LockID)
		_, err := lock.ParseUUID(string(d.LockUUID))
		require.NoError(t, err)
	}
	require.Nil(t, key.Door(0))
	require.Nil(t, key.Door(6))

	got, err := w.Get(w.ctx(), lock.TempKeyID(strings.ToUpper(string(key.UUID))))
	require.NoError(t, err)
	require.Equal(t, key, got, "also the code, which the journal has encrypted only")

	_, err = w.Get(w.ctx(), lock.TempKeyID(uuid.NewString()))
	rejected(t, err, lock.NotFound, "temp-key-not-found")
	_, err = w.Get(w.ctx(), "x")
	rejected(t, err, lock.NotFound, "temp-key-not-found")
}

func TestTheCodeOpensWhereItShould(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(3) // both, key, code
	key, err := w.Create(w.ctx(), ask(locks))
	require.NoError(t, err)
	pin := func(i int, pin string) lock.Reply {
		id := uuid.NewString()
		reply, err := w.locks.Do(w.ctx(), locks[i], &lock.OpenWithPIN{
			Hash: w.PINs.Hash(locks[i], pin), RequestID: lock.RequestID(id), CommandID: lock.CommandID(id),
			Lifetime: time.Second, Hold: time.Second,
		})
		require.NoError(t, err)
		return reply
	}
	link := func(i int) error {
		id := uuid.NewString()
		_, err := w.locks.Do(w.ctx(), locks[i], &lock.OpenWithTempKey{
			TempKeyID: key.Doors[i].TempKeyID, RequestID: lock.RequestID(id), CommandID: lock.CommandID(id), Lifetime: time.Second, Hold: time.Second,
		})
		return err
	}
	require.IsType(t, new(lock.OpenResult), pin(0, key.PIN))
	require.IsType(t, new(lock.PINRefused), pin(1, key.PIN), "this door has a link only")
	require.IsType(t, new(lock.OpenResult), pin(2, key.PIN))
	require.IsType(t, new(lock.PINRefused), pin(0, "x"))
	require.NoError(t, link(0))
	require.NoError(t, link(1))
	rejected(t, link(2), lock.Forbidden, "door-needs-code")

	require.NoError(t, w.Revoke(w.ctx(), owner, key.UUID))
	for i := range locks {
		require.IsType(t, new(lock.PINRefused), pin(i, key.PIN))
		require.Error(t, link(i))
	}
}

func TestBadRequestsGrantNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(3)
	for reason, spoil := range map[string]func(*Create){
		"doors-invalid":         func(c *Create) { c.Doors = nil },
		"door-named-twice":      func(c *Create) { c.Doors[2].LockID = locks[0] },
		"instant-invalid":       func(c *Create) { c.ValidUntil = time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)) },
		"window-empty":          func(c *Create) { c.ValidUntil = c.ValidFrom },
		"description-invalid":   func(c *Create) { c.Description = "a\x1bb" },
		"description-too-long":  func(c *Create) { c.Description = strings.Repeat("ä", 2001) },
		"label-invalid":         func(c *Create) { c.Doors[0].Label = "a\nb" },
		"access-method-invalid": func(c *Create) { c.Doors[0].Access = "knock" },
		"lock-not-found":        func(c *Create) { c.Doors[2].LockID = 1 << 40 },
	} {
		c := ask(locks)
		spoil(&c)
		_, err := w.Create(w.ctx(), c)
		var e *lock.Error
		require.ErrorAs(t, err, &e, reason)
		require.Equal(t, reason, e.Reason)
	}
	c := ask(locks)
	c.Doors[0].Label = "a\u202eb" // would turn what stands after it on the guest's page
	_, err := w.Create(w.ctx(), c)
	rejected(t, err, lock.Invalid, "label-invalid")
	c = ask(locks)
	c.By = stranger
	_, err = w.Create(w.ctx(), c)
	rejected(t, err, lock.NotFound, "lock-not-found")
	require.Zero(t, w.parts(locks))
}

func TestALockThatRefusesUndoesTheKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(4)
	// The third lock is handed over between the look and the grant.
	c := ask(locks)
	doors, err := w.look(w.ctx(), &c)
	require.NoError(t, err)
	_, err = w.locks.Do(w.ctx(), locks[2], &lock.SetOrganization{By: owner, OrgID: "umbrella"})
	require.NoError(t, err)
	_, err = w.create(w.ctx(), &c, doors)
	rejected(t, err, lock.NotFound, "lock-not-found")
	require.Zero(t, w.parts(locks))
	require.NoError(t, w.sweep(w.ctx()))
}

func TestOnlyItsOwnerSeesAndRevokesAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(2)
	c := ask(locks)
	c.By.UserID = "ann"
	key, err := w.Create(w.ctx(), c)
	require.NoError(t, err)
	for _, by := range []lock.Caller{stranger, {}, {UserID: "ann"}, {UserID: "bob", OrgID: "umbrella"}} {
		rejected(t, w.Revoke(w.ctx(), by, key.UUID), lock.NotFound, "temp-key-not-found")
	}
	require.Equal(t, 2, w.parts(locks))
	require.NoError(t, w.Revoke(w.ctx(), lock.Caller{OrgID: "acme", UserID: "carl"}, key.UUID), "the organisation's members")
	require.NoError(t, w.Revoke(w.ctx(), super, key.UUID), "again")
	require.Zero(t, w.parts(locks))
	got, err := w.Get(w.ctx(), key.UUID)
	require.NoError(t, err)
	require.NotNil(t, got.RevokedAt)
}

func TestAllWhoRevokeAtOnceSucceed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(10)
	key, err := w.Create(w.ctx(), ask(locks))
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if err := w.Revoke(w.ctx(), owner, key.UUID); err != nil {
				t.Error(err)
				return
			}
			if n := w.parts(locks); n != 0 {
				t.Errorf("revoked, and %d doors still open", n)
			}
		})
	}
	all.Wait()
}

func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	by := lock.Caller{OrgID: lock.OrgID(uuid.NewString())}
	locks := w.newLocks(3)
	for _, id := range locks {
		_, err := w.locks.Do(w.ctx(), id, &lock.SetOrganization{By: owner, OrgID: by.OrgID})
		require.NoError(t, err)
	}
	var made []lock.TempKeyID
	for i := range 7 {
		c := ask(locks[i%3 : i%3+1])
		c.By = by
		key, err := w.Create(w.ctx(), c)
		require.NoError(t, err)
		made = append(made, key.UUID)
	}
	require.NoError(t, w.Revoke(w.ctx(), by, made[0]))
	list := func(of lock.ID, limit int) (ids []lock.TempKeyID) {
		for after := ""; ; {
			page, err := w.List(w.ctx(), by, of, after, limit, 100)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page.Keys), limit)
			for _, k := range page.Keys {
				require.Equal(t, k.UUID == made[0], k.RevokedAt != nil)
				ids = append(ids, k.UUID)
			}
			if after = page.Next; after == "" {
				return ids
			}
		}
	}
	for _, limit := range []int{1, 2, 3, 7, 100} {
		require.ElementsMatch(t, made, list(0, limit))
		require.ElementsMatch(t, []lock.TempKeyID{made[1], made[4]}, list(locks[1], limit))
	}
	others, err := w.List(w.ctx(), stranger, 0, "", 10, 100)
	require.NoError(t, err)
	require.Empty(t, others)
}

// together lets the reads of a journal go on only when so many of them wait at the same time.
type together struct {
	journal.Journal
	all   int
	mu    sync.Mutex
	wait  chan struct{} // guarded by mu: closed when all have come
	here  int           // guarded by mu
	reads atomic.Int64
}

func (j *together) Read(ctx context.Context, stream string, after uint64, limit int) ([]journal.Record, error) {
	j.reads.Add(1)
	j.mu.Lock()
	if j.here == 0 {
		j.wait = make(chan struct{})
	}
	wait := j.wait
	if j.here++; j.here == j.all {
		j.here = 0
		close(wait)
	}
	j.mu.Unlock()
	select {
	case <-wait:
		return j.Journal.Read(ctx, stream, after, limit)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A page ends when enough was looked at, whatever was found; what is looked at is so a few keys at a time, and is told.
func TestAPageIsBoundedWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(2)
	const made = 3 * abreast
	for range made {
		_, err := w.Create(w.ctx(), ask(locks[:1]))
		require.NoError(t, err)
	}
	j := &together{Journal: w.Journal, all: abreast}
	k := w.keys(w.locks, j)
	looked, pages := 0, 0
	for after := ""; pages == 0 || after != ""; pages++ {
		page, err := k.List(w.ctx(), owner, locks[1], after, 1, abreast)
		require.NoError(t, err)
		require.Empty(t, page.Keys)
		looked, after = looked+page.Looked, page.Next
	}
	require.Equal(t, 3, pages)
	require.Equal(t, made, looked)
	require.EqualValues(t, made, j.reads.Load())

	// What was found is not lost, though the page ends in the middle of what was read.
	page, err := k.List(w.ctx(), owner, locks[0], "", abreast+1, made)
	require.NoError(t, err)
	require.Len(t, page.Keys, abreast+1)
	require.EqualValues(t, page.Keys[abreast].UUID, page.Next)
	page, err = k.List(w.ctx(), owner, locks[0], string(page.Keys[0].UUID), abreast, made)
	require.NoError(t, err)
	require.Len(t, page.Keys, abreast)
	require.Equal(t, abreast, page.Looked, "no more than the page has")
}

// refusing is a journal whose store refuses connections.
type refusing struct{ journal.Journal }

var errRefused = errors.New("connection refused")

func (refusing) Claimed(context.Context, string, string) (string, error) { return "", errRefused }

func (refusing) Entries(context.Context, string, string, string, int) ([]journal.Entry, error) {
	return nil, errRefused
}

func (refusing) Read(context.Context, string, uint64, int) ([]journal.Record, error) {
	return nil, errRefused
}

// Before anything is stored nothing has happened, whatever could not be asked.
func TestWhatIsNotLookedUpHasNotHappened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.keys(w.locks, refusing{w.Journal})
	_, err := k.List(w.ctx(), owner, 0, "", 10, 10)
	require.ErrorIs(t, err, ErrUnavailable)
	_, err = k.Get(w.ctx(), lock.TempKeyID(uuid.NewString()))
	require.ErrorIs(t, err, ErrUnavailable)
	_, err = k.Create(under(w.ctx(), "n1", "a"), ask([]lock.ID{1}))
	require.ErrorIs(t, err, ErrUnavailable)
	_, err = w.keys(noLocks{}, w.Journal).Create(w.ctx(), ask([]lock.ID{1}))
	require.ErrorIs(t, err, ErrUnavailable)
}

// noLocks can be asked nothing.
type noLocks struct{}

func (noLocks) Do(context.Context, lock.ID, lock.Command) (lock.Reply, error) {
	return nil, cluster.ErrTimeout
}

func TestACopyOfTheJournalGivesNoCodeAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(1)
	key, err := w.Create(w.ctx(), ask(locks))
	require.NoError(t, err)
	for stream, j := range map[string]journal.Journal{streamOf(key.UUID): w.Journal, "lock/" + locks[0].String(): shared.journal} {
		records, err := j.Read(w.ctx(), stream, 0, 100)
		require.NoError(t, err)
		require.NotEmpty(t, records)
		for _, r := range records {
			require.NotContains(t, string(r.Data), `"`+key.PIN+`"`)
		}
	}
	other, err := NewPINs([]byte("another key, of thirty-two bytes"))
	require.NoError(t, err)
	s, err := w.load(w.ctx(), key.UUID)
	require.NoError(t, err)
	_, err = other.opened(key.UUID, s.PIN)
	require.Error(t, err)
	_, err = w.PINs.opened(lock.TempKeyID(uuid.NewString()), s.PIN)
	require.Error(t, err, "of another key")
	require.NotEqual(t, other.Hash(1, key.PIN), w.PINs.Hash(1, key.PIN))
	require.NotEqual(t, w.PINs.Hash(1, key.PIN), w.PINs.Hash(2, key.PIN))
	_, err = NewPINs([]byte("short"))
	require.Error(t, err)
}

func TestAJournalKeepsTheKeyOfItsCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, err := NewPINs([]byte("another key, of thirty-two bytes"))
	require.NoError(t, err)
	require.NoError(t, w.PINs.Adopt(w.ctx(), w.Journal))
	require.NoError(t, w.PINs.Adopt(w.ctx(), w.Journal))
	require.ErrorIs(t, other.Adopt(w.ctx(), w.Journal), ErrOtherKey)
}
