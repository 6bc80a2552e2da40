package actors

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/lock"
)

// crowd is a Node that tells as its members whom it likes.
type crowd struct {
	Node
	members []cluster.Member
	moved   atomic.Pointer[time.Time]
}

func newCrowd(n Node, ids ...string) *crowd {
	c := &crowd{Node: n, members: members(ids...)}
	never := time.Time{}
	c.moved.Store(&never)
	if len(ids) > 1 {
		c.become(ids...)
	}
	return c
}

// become changes the members, as lookups see it. MembersChanged is for the test to call.
func (c *crowd) become(ids ...string) {
	now := time.Now()
	c.members = members(ids...)
	c.moved.Store(&now)
}

func (c *crowd) Members() []cluster.Member { return c.members }
func (c *crowd) Moved() time.Time          { return *c.moved.Load() }

func members(ids ...string) (all []cluster.Member) {
	for _, id := range ids {
		all = append(all, cluster.Member{ID: id})
	}
	return all
}

func startAmong(t *testing.T, ids ...string) (*world, *crowd) {
	t.Helper()
	w := &world{t: t, journal: inMemory(t), doors: newDoors(), metrics: newRegistry()}
	var err error
	w.Locks, err = New(Options{Journal: w.journal, Registerer: w.metrics})
	require.NoError(t, err)
	w.doors.locks = w.Locks
	c := newCrowd(theNode(t), ids...)
	w.Join(c, self, w.doors)
	t.Cleanup(w.stop)
	return w, c
}

// restartGrains lets every lock have a new activation that knows of no session.
func (w *world) restartGrains() {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		for _, pid := range w.pids() {
			node.System().Root.Stop(pid)
		}
		return w.metric("activations") == 0
	}, 5*time.Second, time.Millisecond)
}

// A lock has moved. Whoever opens before its session has told the new activation of itself does not notice.
func TestAnOpenWaitsForTheSessionToTellOfItself(t *testing.T) {
	t.Parallel()
	w, c := startAmong(t, self, "b", "c")
	id := w.newLock()
	key := w.newKey(id, 0)
	session := w.connect(id, opens)
	w.restartGrains()
	c.become(self, "b") // and nobody has said so yet
	answers := make(chan *lock.OpenResult, 2)
	open := func(c lock.Command) {
		reply, err := w.Do(within(t, 10*time.Second), id, c)
		result, ok := reply.(*lock.OpenResult)
		if err != nil || !ok {
			t.Errorf("%v: %v", reply, err)
		}
		answers <- result
	}
	go open(opening(key, "first"))
	go open(&lock.OpenLock{By: owner, RequestID: "second", CommandID: "c2", Lifetime: 5 * time.Second})
	require.Eventually(t, func() bool { return w.metric("stashed_requests") == 2 }, 2*time.Second, time.Millisecond)
	w.Tell(id, &lock.KeepDevice{Device: lock.Device{Session: session, BootID: "boot", Deadline: true, Journal: true}})
	for range 2 {
		result := <-answers
		require.Equal(t, lock.Opened, result.Outcome)
		require.False(t, result.Offline)
	}
}

// If no session tells of itself in time, the device is offline; and while nothing has changed, it is so at once.
func TestAnOpenDoesNotWaitForLong(t *testing.T) {
	t.Parallel()
	w, c := startAmong(t, self, "b")
	id := w.newLock()
	open := func() time.Duration {
		began := time.Now()
		_, err := w.Do(within(t, 10*time.Second), id, &lock.OpenLock{By: owner, RequestID: "r", CommandID: "c", Lifetime: 5 * time.Second})
		rejected(t, err, lock.Offline, "device-offline")
		return time.Since(began)
	}
	began := time.Now()
	open()
	require.LessOrEqual(t, time.Since(began), settleTime+time.Second)
	require.Less(t, open(), settleTime/2, "it has been long enough")
	c.become(self)
	w.MembersChanged()
	require.Less(t, open(), settleTime/2, "the grain was here before")

	alone, _ := startAmong(t, self)
	id = alone.newLock()
	w = alone
	require.Less(t, open(), settleTime/2, "nobody else has sessions")
}

// What else has its time does not make it wait for longer: here an open that was on its way when the lock moved.
func TestAnOpenDoesNotWaitForAnother(t *testing.T) {
	t.Parallel()
	w, c := startAmong(t, self, "b")
	id, _, open := w.unanswered(0, 8*time.Second)
	reply, err := w.Do(within(t, time.Second), id, open) // and nobody waits for it any more when the lock moves
	require.NoError(t, err)
	require.Equal(t, lock.Sent, reply.(*lock.OpenResult).Outcome)
	w.restartGrains()
	c.become(self, "b")
	began := time.Now()
	_, err = w.Do(within(t, 12*time.Second), id, &lock.OpenLock{By: owner, RequestID: "r", CommandID: "c", Lifetime: 5 * time.Second})
	rejected(t, err, lock.Offline, "device-offline")
	require.Greater(t, time.Since(began), settleTime/2)
	require.Less(t, time.Since(began), 2*settleTime, "and not for the 8 s of the other")
}

// The node of a session has left: the device is offline at once, and what was sent is asked about when it is back.
func TestASessionLeavesWithItsNode(t *testing.T) {
	t.Parallel()
	w, c := startAmong(t, self, "b")
	id := w.newLock()
	key := w.newKey(id, 1)
	there := lock.Session{Node: "b", ID: 7}
	device := lock.Device{Session: there, BootID: "boot", Deadline: true, Journal: true, Clock: lock.Clock{Mono: 1000, At: time.Now()}}
	w.must(id, &lock.ConnectDevice{Device: device})
	online := func() bool { return w.must(id, &lock.GetLock{By: owner}).(*lock.Info).Online }
	require.True(t, online())
	here := w.newLock()
	w.connect(here, opens)

	c.become(self)
	w.MembersChanged()
	require.Eventually(t, func() bool { return !online() }, 5*time.Second, time.Millisecond)
	require.True(t, w.must(here, &lock.GetLock{By: owner}).(*lock.Info).Online, "the others have not left")
	result, err := w.open(id, key, "first")
	require.NoError(t, err)
	require.Equal(t, lock.Reserved, result.Outcome, "it is held")
	w.connect(id, opens)
	require.Eventually(t, func() bool { return w.keyOf(id, key).UsedCount == 1 && movements(w.doors, id) == 1 }, 5*time.Second, time.Millisecond)
}

// A grain that starts anew where it is does not forget its session.
func TestASessionSurvivesItsGrainsPanic(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	w.connect(id, opens)
	_, err := w.Do(within(t, 5*time.Second), id, nil)
	require.Error(t, err)
	require.Eventually(t, func() bool { return w.must(id, &lock.GetLock{By: owner}).(*lock.Info).Online }, 5*time.Second, time.Millisecond)
}
