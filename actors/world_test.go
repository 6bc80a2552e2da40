package actors

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/journal/sqlite"
	"github.com/latchkey/latchkey/lock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(drained{m}) }

// drained runs the tests, and then ends the node that they share.
type drained struct{ *testing.M }

func (d drained) Run() int {
	code := d.M.Run()
	if node != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := errors.Join(node.Drain(ctx), os.RemoveAll(nodeDir)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	return code
}

// All tests share one node of a cluster, since protoactor sets globals when a node starts. Its kind is a router, which makes
// the grain of the world that a lock belongs to.
var (
	node     *cluster.Node
	nodeDir  string // of its etcd
	nodeOnce sync.Once
	worldOf  sync.Map // lock.ID to *shell
)

func theNode(t testing.TB) *cluster.Node {
	nodeOnce.Do(func() {
		var err error
		nodeDir, err = os.MkdirTemp("", "actors-etcd-")
		require.NoError(t, err)
		node, err = cluster.Start(context.Background(), cluster.Options{
			EtcdDir: nodeDir, MailboxSize: 1024,
			Kinds: map[string]*actor.Props{Kind: actor.PropsFromProducer(func() actor.Actor { return &router{} })},
		})
		require.NoError(t, err)
	})
	return node
}

type router struct{ grain *grain }

func (r *router) Receive(ctx actor.Context) {
	if r.grain == nil {
		id, err := lockOf(ctx.Self().Id)
		shared, ok := worldOf.Load(id)
		if err != nil || !ok {
			ctx.Respond(&Response{Err: &lock.Error{Kind: lock.NotFound, Reason: "no-world"}})
			return
		}
		r.grain = &grain{shell: shared.(*shell)}
	}
	r.grain.Receive(ctx)
}

const (
	org  = lock.OrgID("org-1") // that the locks of the tests belong to
	self = "node-under-test"   // as sessions name it
)

var owner = lock.Caller{OrgID: org}

// world is one node with real grains, a journal, and doors in place of the devices.
type world struct {
	*Locks
	t       testing.TB
	journal journal.Journal
	doors   *doors
	metrics *prometheus.Registry
}

// start brings a node up on a journal. Options are the defaults but for what change changes. The locks are the node's
// before it joins, as after a restart.
func start(t testing.TB, j journal.Journal, change func(*Options), locks ...lock.ID) *world {
	t.Helper()
	w := &world{t: t, journal: j, doors: newDoors(), metrics: newRegistry()}
	o := Options{Journal: j, Registerer: w.metrics}
	if change != nil {
		change(&o)
	}
	var err error
	w.Locks, err = New(o)
	require.NoError(t, err)
	w.doors.locks = w.Locks
	for _, id := range locks {
		w.own(id)
	}
	w.Join(theNode(t), self, w.doors)
	t.Cleanup(w.stop)
	return w
}

// stop ends the world's grains as a drain of the node would, and then the rest.
func (w *world) stop() {
	require.Eventually(w.t, func() bool {
		for _, pid := range w.pids() {
			node.System().Root.Stop(pid)
		}
		return w.metric("activations") == 0
	}, 10*time.Second, time.Millisecond)
	w.Close()
}

func (w *world) pids() (pids []*actor.PID) {
	w.shell.mu.Lock()
	defer w.shell.mu.Unlock()
	for g := range w.shell.grains {
		pids = append(pids, g.pid)
	}
	return pids
}

// own makes a lock's grain one of this world from its next activation on.
func (w *world) own(id lock.ID) { worldOf.Store(id, w.shell) }

func inMemory(t testing.TB) journal.Journal {
	j := memory.New()
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func onDisk(t testing.TB) journal.Journal {
	t.Helper()
	j, err := sqlite.Open(sqlite.Options{Path: filepath.Join(t.TempDir(), "journal.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

var lastLock atomic.Int64

// newLock creates a lock that no other test has.
func (w *world) newLock() lock.ID {
	w.t.Helper()
	id := lock.ID(lastLock.Add(1))
	w.own(id)
	w.must(id, &lock.CreateLock{By: owner, ID: id, UUID: uuidOf(id), Index: 1})
	return id
}

func uuidOf(id lock.ID) lock.UUID {
	return lock.UUID(uuid.NewSHA1(uuid.NameSpaceOID, []byte(id.String())).String())
}

// newKey creates a public key; uses 0 is without limit.
func (w *world) newKey(id lock.ID, uses int64) lock.TempKeyID {
	w.t.Helper()
	key := lock.TempKeyID(uuid.NewString())
	c := &lock.CreateTempKey{
		By: owner, UUID: key, AccessMode: lock.Public,
		ValidFrom: time.Now().Add(-time.Hour), ValidUntil: time.Now().Add(time.Hour),
	}
	if uses > 0 {
		c.MaxUses = &uses
	}
	w.must(id, c)
	return key
}

// connect makes a device come online that answers as it is told.
func (w *world) connect(id lock.ID, answer answer) lock.Session {
	w.t.Helper()
	session := w.doors.add(id, answer)
	w.must(id, &lock.ConnectDevice{Device: lock.Device{
		Session: session, BootID: "boot", Firmware: "1.0", Deadline: true, Journal: true,
	}})
	return session
}

// unanswered makes a lock with a key, whose device says nothing, and an open for it.
func (w *world) unanswered(uses int64, lifetime time.Duration) (lock.ID, lock.TempKeyID, *lock.OpenWithTempKey) {
	w.t.Helper()
	id := w.newLock()
	key := w.newKey(id, uses)
	w.connect(id, silent)
	c := opening(key, "first")
	c.Lifetime = lifetime
	return id, key, c
}

func (w *world) must(id lock.ID, c lock.Command) lock.Reply {
	w.t.Helper()
	reply, err := w.Do(within(w.t, 10*time.Second), id, c)
	require.NoError(w.t, err)
	return reply
}

func (w *world) open(id lock.ID, key lock.TempKeyID, request string) (*lock.OpenResult, error) {
	w.t.Helper()
	reply, err := w.Do(within(w.t, 20*time.Second), id, opening(key, request))
	if err != nil {
		return nil, err
	}
	return reply.(*lock.OpenResult), nil
}

func opening(key lock.TempKeyID, request string) *lock.OpenWithTempKey {
	return &lock.OpenWithTempKey{
		TempKeyID: key, RequestID: lock.RequestID(request), CommandID: lock.CommandID(uuid.NewString()),
		Lifetime: 5 * time.Second, Hold: 10 * time.Second,
	}
}

func (w *world) keyOf(id lock.ID, key lock.TempKeyID) lock.TempKeyView {
	w.t.Helper()
	return w.must(id, &lock.GetTempKey{TempKeyID: key}).(*lock.TempKeyInfo).Key
}

// metric reads a counter or gauge, summed over its labels.
func (w *world) metric(name string) (sum float64) {
	w.t.Helper()
	families, err := w.metrics.Gather()
	require.NoError(w.t, err)
	for _, f := range families {
		if f.GetName() != "latchkey_actors_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func rejected(t testing.TB, err error, kind lock.Kind, reason string) {
	t.Helper()
	var e *lock.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, kind, e.Kind, "%s: %s", e.Reason, e.Message)
	require.Equal(t, reason, e.Reason)
}

func secretHash(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }

// answer is what a device says to an Open; nil says nothing.
type answer func(e *lock.SendOpen) *lock.AnswerOpen

func opens(e *lock.SendOpen) *lock.AnswerOpen {
	return &lock.AnswerOpen{Session: e.Session, CommandID: e.CommandID, Opened: true, Bolt: "unlocked"}
}

func jams(e *lock.SendOpen) *lock.AnswerOpen {
	return &lock.AnswerOpen{Session: e.Session, CommandID: e.CommandID, Executed: lock.NotExecuted, Code: "Jammed"}
}

func silent(*lock.SendOpen) *lock.AnswerOpen { return nil }

// doors plays the devices. A motor moves once for a command.
type doors struct {
	locks  *Locks
	panics atomic.Bool // the next Send does

	mu       sync.Mutex
	last     uint64
	sessions map[uint64]door
	keys     func(*lock.SendKey) *lock.AnswerKey // what all devices say to a change of a key; nil: nothing
	effects  []lock.Effect
	recalled []string      // the members for which sessions were recalled
	arrived  chan struct{} // gets something for each effect, and drops it when nobody looks
}

type door struct {
	id     lock.ID
	answer answer
}

func newDoors() *doors {
	return &doors{sessions: map[uint64]door{}, arrived: make(chan struct{}, 1)}
}

func (d *doors) add(id lock.ID, a answer) lock.Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	d.sessions[d.last] = door{id: id, answer: a}
	return lock.Session{Node: self, ID: d.last}
}

func (d *doors) Send(_ lock.ID, e lock.Effect) {
	if d.panics.Swap(false) {
		panic("a door is broken")
	}
	d.mu.Lock()
	d.effects = append(d.effects, e)
	door, keys := d.sessions[e.To().ID], d.keys
	d.mu.Unlock()
	select {
	case d.arrived <- struct{}{}:
	default:
	}
	if key, ok := e.(*lock.SendKey); ok && keys != nil {
		if a := keys(key); a != nil {
			d.locks.Tell(door.id, a)
		}
	}
	if open, ok := e.(*lock.SendOpen); ok && door.answer != nil {
		if a := door.answer(open); a != nil {
			d.locks.Tell(door.id, a)
		}
	}
}

func (d *doors) Recall(member string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recalled = append(d.recalled, member)
}

// all returns the effects of every session.
func (d *doors) all() []lock.Effect {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.effects)
}

// sent returns the effects of one type that a lock's sessions got.
func sent[E lock.Effect](d *doors, id lock.ID) (found []E) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.effects {
		if wanted, ok := e.(E); ok && d.sessions[e.To().ID].id == id {
			found = append(found, wanted)
		}
	}
	return found
}

func movements(d *doors, id lock.ID) int { return len(sent[*lock.SendOpen](d, id)) }

func request(i int) string { return fmt.Sprintf("request-%d", i) }

func newRegistry() *prometheus.Registry { return prometheus.NewRegistry() }

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
