package collective

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/actors"
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(drained{m}) }

// drained runs the tests, and then ends the node that they share.
type drained struct{ *testing.M }

func (d drained) Run() int {
	code := d.M.Run()
	if shared == nil {
		return code
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := shared.node.Drain(ctx)
	shared.locks.Close()
	if err = errors.Join(err, shared.journal.Close(), os.RemoveAll(shared.dir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// server has real locks on a real node, and their journal, which does not have a disk.
type server struct {
	dir     string
	journal journal.Journal
	locks   *actors.Locks
	node    *cluster.Node
}

var (
	shared     *server
	sharedOnce sync.Once
	lastLock   atomic.Int64
)

func theServer(t testing.TB) *server {
	sharedOnce.Do(func() {
		s := &server{journal: memory.New()}
		var err error
		s.dir, err = os.MkdirTemp("", "collective-etcd-")
		require.NoError(t, err)
		s.locks, err = actors.New(actors.Options{Journal: s.journal})
		require.NoError(t, err)
		s.node, err = cluster.Start(context.Background(), cluster.Options{EtcdDir: s.dir, Kinds: s.locks.Kinds()})
		require.NoError(t, err)
		s.locks.Join(s.node, s.node.ID(), nobody{})
		shared = s
	})
	return shared
}

// nobody is connected: no device takes part.
type nobody struct{}

func (nobody) Send(lock.ID, lock.Effect) {}
func (nobody) Recall(string)             {}

var (
	owner    = lock.Caller{OrgID: "acme", Key: "lk_acme", Addr: "203.0.113.7"}
	stranger = lock.Caller{OrgID: "umbrella"}
	super    = lock.Caller{Super: true}
)

// world makes keys, by a clock that the test can set forward. Their streams are in a journal of the test's own, so that no
// other test finishes what it has left half done.
type world struct {
	*Keys
	t     *testing.T
	locks *actors.Locks
	ahead atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := theServer(t)
	w := &world{t: t, locks: s.locks}
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	w.Keys = w.keys(s.locks, j)
	return w
}

// keys are what another process would work with, by way of these locks and this journal.
func (w *world) keys(l Locks, j journal.Journal) *Keys {
	w.t.Helper()
	pins, err := NewPINs([]byte("0123456789abcdef0123456789abcdef"))
	require.NoError(w.t, err)
	k, err := New(Options{Journal: j, Locks: l, PINs: pins, Now: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }})
	require.NoError(w.t, err)
	return k
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

// newLocks creates locks of the owner.
func (w *world) newLocks(n int) []lock.ID {
	w.t.Helper()
	ids := make([]lock.ID, n)
	for i := range ids {
		ids[i] = lock.ID(lastLock.Add(1))
		_, err := w.locks.Do(w.ctx(), ids[i], &lock.CreateLock{By: owner, ID: ids[i], UUID: lock.UUID(uuid.NewString()), Index: 1})
		require.NoError(w.t, err)
	}
	return ids
}

// ask is a request for a key to some locks, by turns with a link, a code and both.
func ask(locks []lock.ID) Create {
	c := Create{By: owner, ValidFrom: time.Now().Add(-time.Hour), ValidUntil: time.Now().Add(time.Hour), Description: "the Fosters"}
	for i, id := range locks {
		c.Doors = append(c.Doors, NewDoor{LockID: id, Label: fmt.Sprintf("door %d", i+1), Access: []Access{ByBoth, ByKey, ByCode}[i%3]})
	}
	return c
}

// parts counts the doors that the locks hold, of whatever key.
func (w *world) parts(locks []lock.ID) (n int) {
	w.t.Helper()
	for _, id := range locks {
		reply, err := w.locks.Do(w.ctx(), id, &lock.ListTempKeys{By: super})
		require.NoError(w.t, err)
		n += len(reply.(*lock.TempKeyList).TempKeys)
	}
	return n
}

func rejected(t *testing.T, err error, kind lock.Kind, reason string) {
	t.Helper()
	var e *lock.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, kind, e.Kind, e.Message)
	require.Equal(t, reason, e.Reason)
}
