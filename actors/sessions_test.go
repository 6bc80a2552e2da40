package actors

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/lock"
)

// twoNodes is a Node with another one beside it, whose sessions get what is sent to them as often as the connection likes.
type twoNodes struct {
	Node // of the grains
	far  *shell

	mu   sync.Mutex
	gone bool   // the other node is no member
	cut  bool   // the connection to it is
	addr string // of the other node, when it is shown among the members
}

const farNode = "far-node"

func (n *twoNodes) TellMember(id, name string, msg any) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone || id != farNode || name != sessionsName {
		return false
	}
	if r, ok := msg.(*actorspb.Recall); ok {
		n.far.receive(r)
		return true
	}
	d := msg.(*delivery)
	if n.cut {
		d.Returned()
		return true
	}
	n.far.receive(travelled(d))
	return true
}

func travelled(d *delivery) *actorspb.IncomingEffect {
	x, err := d.Serialize()
	if err != nil {
		panic(err)
	}
	in, err := x.Deserialize()
	if err != nil {
		panic(err)
	}
	return in.(*actorspb.IncomingEffect)
}

func (*twoNodes) Listen(string, func(any)) {}

func (n *twoNodes) Moved() time.Time { return time.Time{} }

func (n *twoNodes) Members() []cluster.Member {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.addr == "" {
		return n.Node.Members()
	}
	return append(n.Node.Members(), cluster.Member{ID: farNode, Addr: n.addr})
}

// startTwo starts a world whose devices are connected to another node. The sessions there tell the locks directly.
func startTwo(t *testing.T) (*world, *twoNodes) {
	t.Helper()
	w := &world{t: t, journal: inMemory(t), doors: newDoors(), metrics: newRegistry()}
	var err error
	w.Locks, err = New(Options{Journal: w.journal, Registerer: w.metrics, OpenWait: 2 * time.Second})
	require.NoError(t, err)
	w.doors.locks = w.Locks
	far, err := newShell(Options{Journal: w.journal})
	require.NoError(t, err)
	t.Cleanup(far.close)
	near := &twoNodes{Node: theNode(t), far: far}
	far.node, far.self, far.devices = near, farNode, w.doors
	w.Join(near, self, newDoors()) // nothing is connected here
	t.Cleanup(w.stop)
	return w, near
}

// connectFar makes a device come online at the other node.
func (w *world) connectFar(id lock.ID, a answer) lock.Session {
	w.t.Helper()
	session := w.doors.add(id, a)
	session.Node = farNode
	w.must(id, &lock.ConnectDevice{Device: lock.Device{
		Session: session, BootID: "boot", Deadline: true, Journal: true, Clock: lock.Clock{Mono: 60_000, At: time.Now()},
	}})
	return session
}

func TestAKeyOpensADoorOfAnotherNode(t *testing.T) {
	t.Parallel()
	w, _ := startTwo(t)
	id := w.newLock()
	key := w.newKey(id, 1)
	session := w.connectFar(id, opens)
	result, err := w.open(id, key, "first")
	require.NoError(t, err)
	require.Equal(t, lock.Opened, result.Outcome)
	open := sent[*lock.SendOpen](w.doors, id)[0]
	require.Equal(t, session, open.Session)
	require.InDelta(t, 65_000, open.NotAfterMono, 2000)

	w.connectFar(id, opens)
	require.Equal(t, []*lock.CloseSession{{Session: session, Cause: lock.CauseReplaced}}, sent[*lock.CloseSession](w.doors, id))
}

// What is known never to have left the node gives the use back; and a node that is no member any more has no sessions.
func TestAnOpenThatNeverLeftReturnsTheUse(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{false, true} {
		w, near := startTwo(t)
		id := w.newLock()
		key := w.newKey(id, 1)
		w.connectFar(id, opens)
		near.mu.Lock()
		near.gone, near.cut = gone, !gone
		near.mu.Unlock()
		result, err := w.open(id, key, "first")
		require.NoError(t, err)
		require.Equal(t, lock.Refused, result.Outcome)
		require.True(t, result.UseReturned)
		require.EqualValues(t, 1, w.metric("effects_undelivered_total"))
		require.Eventually(t, func() bool {
			return w.must(id, &lock.GetLock{By: owner}).(*lock.Info).Online != gone
		}, 5*time.Second, time.Millisecond)
	}
}

// protoactor sends a batch again when it does not know whether it got through. The session may have ended in between, and would
// refuse the open with the proof that it never left.
func TestAnEffectIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	s, err := newShell(Options{Journal: inMemory(t)})
	require.NoError(t, err)
	t.Cleanup(s.close)
	doors := newDoors()
	s.self, s.devices = self, doors
	in := func(origin string, number uint64) {
		s.receive(travelled(&delivery{origin: origin, number: number, lock: 1, effect: &lock.AckEvents{
			Session: lock.Session{Node: self}, CallID: origin, AckSeq: number,
		}}))
	}
	for _, number := range []uint64{1, 2, 5, 2, 5, 4, 6} {
		in("a", number)
	}
	in("b", 1)
	var got []uint64
	for _, e := range doors.effects {
		got = append(got, e.(*lock.AckEvents).AckSeq)
	}
	require.Equal(t, []uint64{1, 2, 5, 6, 1}, got)
}

// Many origins at a time, each of them with its batches twice: each effect once, and in its origin's order.
func TestEffectsOfManyNodesStayInOrder(t *testing.T) {
	t.Parallel()
	s, err := newShell(Options{Journal: inMemory(t)})
	require.NoError(t, err)
	t.Cleanup(s.close)
	doors := newDoors()
	s.self, s.devices = self, doors
	var all sync.WaitGroup
	for _, origin := range []string{"a", "b", "c"} {
		for range 2 {
			all.Go(func() {
				for number := range uint64(500) {
					s.receive(travelled(&delivery{origin: origin, number: number + 1, lock: 1, effect: &lock.AckEvents{
						Session: lock.Session{Node: self}, CallID: origin, AckSeq: number,
					}}))
				}
			})
		}
	}
	all.Wait()
	seen := map[string][]uint64{}
	for _, e := range doors.effects {
		ack := e.(*lock.AckEvents)
		seen[ack.CallID] = append(seen[ack.CallID], ack.AckSeq)
	}
	for _, numbers := range seen {
		require.True(t, slices.IsSorted(numbers))
		require.Len(t, slices.Compact(numbers), len(numbers))
	}
	require.Len(t, seen, 3)
}

// An effect for another life of the node proves nothing, but the session is surely gone.
func TestAnEffectForAFormerLife(t *testing.T) {
	t.Parallel()
	told := &otherNode{local: true}
	s, err := newShell(Options{Journal: inMemory(t)})
	require.NoError(t, err)
	t.Cleanup(s.close)
	s.self, s.devices, s.node = self, newDoors(), told
	old := lock.Session{Node: "former-life", ID: 3}
	s.receive(travelled(&delivery{origin: "a", number: 1, lock: 9, effect: &lock.SendOpen{Session: old, CommandID: "c", NotAfterMono: 1}}))
	require.Equal(t, []lock.Command{&lock.DisconnectDevice{Session: old}}, told.heard())
}

// What was on a connection that broke is lost, so the sessions at its other end have to tell of themselves, and no others.
func TestABrokenConnectionRecallsTheSessionsBehindIt(t *testing.T) {
	t.Parallel()
	w, near := startTwo(t)
	near.mu.Lock()
	near.addr = "far:1"
	near.mu.Unlock()
	w.ConnectionLost("elsewhere:1")
	w.ConnectionLost("far:1")
	recalled := func() []string {
		w.doors.mu.Lock()
		defer w.doors.mu.Unlock()
		return slices.Clone(w.doors.recalled)
	}
	require.Eventually(t, func() bool { return len(recalled()) > 0 }, 10*time.Second, time.Millisecond)
	require.Equal(t, []string{self}, recalled())
}
