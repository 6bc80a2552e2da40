package collective

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// withLocks gives keys whose streams are in the journal of the locks, where a UUID is one thing's only.
func (w *world) withLocks(l Locks) *Keys { return w.keys(l, theServer(w.t).journal) }

// frozen is the node of one lock: it answers no grant, and carries it out when it goes on.
type frozen struct {
	Locks
	id   lock.ID
	mu   sync.Mutex
	held lock.Command // guarded by mu
}

func (f *frozen) Do(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error) {
	if _, grant := c.(*lock.CreateTempKey); !grant || id != f.id {
		return f.Locks.Do(ctx, id, c)
	}
	f.mu.Lock()
	f.held = c
	f.mu.Unlock()
	<-ctx.Done()
	return nil, ctx.Err()
}

// goOn carries out what was held.
func (f *frozen) goOn(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.Locks.Do(ctx, f.id, f.held)
	return err
}

// refusedByOne makes one attempt at a key for two doors. The first lock is frozen; the second one is handed over between the look and the
// grant, so that it refuses.
func (w *world) refusedByOne(k *Keys, locks []lock.ID) {
	w.t.Helper()
	c := ask(locks)
	doors, err := k.look(w.ctx(), &c)
	require.NoError(w.t, err)
	_, err = w.locks.Do(w.ctx(), locks[1], &lock.SetOrganization{By: owner, OrgID: "umbrella"})
	require.NoError(w.t, err)
	_, err = k.create(w.ctx(), &c, doors)
	rejected(w.t, err, lock.NotFound, "lock-not-found")
}

// A grant may be under way for longer than its key lives. No lock takes it then, and a try does not harm the next key.
func TestAGrantThatComesAfterTheEndIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(2)
	f := &frozen{Locks: w.locks, id: locks[0]}
	w.refusedByOne(w.withLocks(f), locks)
	for range 2 {
		rejected(t, f.goOn(w.ctx()), lock.Conflict, lock.ReasonTempKeyTaken)
		require.Zero(t, w.parts(locks), "every door is granted, or none")
	}
	_, err := w.withLocks(w.locks).Create(w.ctx(), ask(locks[:1]))
	require.NoError(t, err)
	require.Equal(t, 1, w.parts(locks))
}

// lastMoment is a journal that something happens to right before the end of a key is stored, once.
type lastMoment struct {
	journal.Journal
	once sync.Once
	do   func()
}

func (j *lastMoment) Submit(a journal.Append, done func(journal.Result)) {
	if a.Records[0].Type == "CollectiveKeyEnded" {
		j.once.Do(j.do)
	}
	j.Journal.Submit(a, done)
}

// A grant that comes between the revocation of its door and the end of its key is found, and revoked.
func TestAGrantThatComesRightBeforeTheEndIsRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	locks := w.newLocks(2)
	f := &frozen{Locks: w.locks, id: locks[0]}
	var late error
	j := &lastMoment{Journal: theServer(t).journal, do: func() { late = f.goOn(w.ctx()) }}
	w.refusedByOne(w.keys(f, j), locks)
	require.NoError(t, late)
	require.Zero(t, w.parts(locks), "every door is granted, or none")
	rejected(t, f.goOn(w.ctx()), lock.Conflict, lock.ReasonTempKeyTaken)
}

// A crash in the middle of an undoing leaves doors that were granted and revoked, and others that never were. Whoever goes on ends the key.
func TestAnUndoingGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.withLocks(w.locks)
	locks := w.newLocks(3)
	c := ask(locks)
	doors, err := k.look(w.ctx(), &c)
	require.NoError(t, err)
	r, pin, err := k.request(&c, doors)
	require.NoError(t, err)
	s := new(state)
	require.NoError(t, k.append(w.ctx(), s, r))
	granted := *s
	granted.Doors = s.Doors[:2]
	require.NoError(t, k.grant(w.ctx(), &granted, owner, pin))
	require.NoError(t, k.append(w.ctx(), s, &abandoned{At: millis(k.Now())}))
	granted.Doors = s.Doors[:1]
	_, err = k.takeBack(w.ctx(), &granted)
	require.NoError(t, err)

	require.NoError(t, k.goOn(w.ctx(), s.UUID))
	require.Zero(t, w.parts(locks))
	rejected(t, k.grant(w.ctx(), s, owner, pin), lock.Conflict, lock.ReasonTempKeyTaken)
	require.Zero(t, w.parts(locks))
	rows, err := k.Journal.Entries(w.ctx(), unfinishedKind, unfinishedKey, "", 1000)
	require.NoError(t, err)
	for _, row := range rows {
		require.NotEqual(t, string(s.UUID), row.Ref)
	}
}

// Journals from before may have a door of a key that was undone. Those whose key it was see it in its lock, and can get rid of it.
func TestADoorThatAKeyHasLeftCanBeRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	k := w.withLocks(w.locks)
	locks := w.newLocks(2)
	c := ask(locks)
	doors, err := k.look(w.ctx(), &c)
	require.NoError(t, err)
	r, pin, err := k.request(&c, doors)
	require.NoError(t, err)
	s := new(state)
	require.NoError(t, k.append(w.ctx(), s, r))
	require.NoError(t, k.append(w.ctx(), s, &abandoned{At: millis(k.Now())}))
	require.NoError(t, k.append(w.ctx(), s, &ended{At: millis(k.Now())}))
	require.NoError(t, k.grant(w.ctx(), s, owner, pin))
	require.Equal(t, 2, w.parts(locks))

	reply, err := w.locks.Do(w.ctx(), locks[0], &lock.ListTempKeys{By: owner})
	require.NoError(t, err)
	part := reply.(*lock.TempKeyList).TempKeys[0]
	_, err = w.locks.Do(w.ctx(), locks[0], &lock.DeleteTempKey{By: owner, TempKeyID: part.UUID})
	rejected(t, err, lock.Conflict, "part-of-collective-key")
	rejected(t, k.Revoke(w.ctx(), stranger, part.Door.Key), lock.NotFound, "temp-key-not-found")
	require.Equal(t, 2, w.parts(locks))
	require.NoError(t, k.Revoke(w.ctx(), owner, part.Door.Key))
	require.Zero(t, w.parts(locks))
	rejected(t, k.Revoke(w.ctx(), owner, part.Door.Key), lock.NotFound, "temp-key-not-found")
	rejected(t, k.Revoke(w.ctx(), super, lock.TempKeyID(uuid.NewString())), lock.NotFound, "temp-key-not-found")
}

// The records from before an end took UUIDs mean what they meant.
func TestAnEndFromBeforeReplays(t *testing.T) {
	t.Parallel()
	key := lock.TempKeyID(uuid.NewString())
	var replay Replay
	for i, r := range []journal.Record{
		{Type: "CollectiveKeyRequested", Data: []byte(`{"at":"2026-05-01T12:00:00Z","uuid":"` + string(key) + `","orgId":"acme","doors":[{"id":1,"lockId":1,"tempKeyUuid":"x"}]}`)},
		{Type: "CollectiveKeyAbandoned", Data: []byte(`{"at":"2026-05-01T12:00:01Z","reason":"r"}`)},
		{Type: "CollectiveKeyEnded", Data: []byte(`{"at":"2026-05-01T12:00:02Z"}`)},
	} {
		r.Stream, r.Version = streamOf(key), uint64(i)+1
		rows, err := replay.Apply(&r)
		require.NoError(t, err)
		if r.Type == "CollectiveKeyEnded" {
			require.Equal(t, []journal.IndexChange{{Op: journal.Remove, Kind: unfinishedKind, Key: unfinishedKey, Ref: string(key)}}, rows)
		}
	}
	record, err := newRecord(&ended{At: time.Date(2026, 5, 1, 12, 0, 2, 0, time.UTC)}, time.Now())
	require.NoError(t, err)
	require.JSONEq(t, `{"at":"2026-05-01T12:00:02Z"}`, string(record.Data))
}
