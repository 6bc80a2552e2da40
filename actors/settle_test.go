package actors

import (
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
}

func (c *crowd) Members() []cluster.Member { return c.members }

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
	c := &crowd{Node: theNode(t), members: members(ids...)}
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
	c.members = members(self, "b")
	w.MembersChanged()
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
	c.members = members(self)
	w.MembersChanged()
	require.Less(t, open(), settleTime/2, "the grain was here before")

	alone, _ := startAmong(t, self)
	id = alone.newLock()
	w = alone
	require.Less(t, open(), settleTime/2, "nobody else has sessions")
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

	c.members = members(self)
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
