package tests

import (
	"context"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

const (
	loadLocks  = 12
	loadGuests = 12
	loadFloor  = 20 // answers a second that a fault has to meet; with fewer it shows nothing

	// They are counted right before the fault, again and again until there are enough.
	loadWindow, loadWindows = time.Second, 20
)

// load is a cluster in use: guests and managers who call any node, and devices that are connected to any.
type load struct {
	*estate
	cluster *cluster
	devices []*sim.Device
	random  *rand.Rand
	began   time.Time
	evening context.CancelFunc // nobody begins anything any more
	morning context.CancelFunc // who has asked before the evening is heard until then
	people  errgroup.Group
}

// use provisions locks, connects their devices and lets people at them. The seed is logged.
func (c *cluster) use(t *testing.T) *load {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	l := &load{
		estate: &estate{s: c.server, locks: loadLocks, keys: make(map[int64][]guestKey)}, cluster: c,
		random: rand.New(rand.NewPCG(seed, 0)),
	}
	creds := c.provision(t, loadLocks)
	for i, cred := range creds {
		d := c.device(t, cred, c.anyNode(i), travels(time.Duration(l.random.IntN(60))*time.Millisecond))
		connect(t, d)
		l.devices = append(l.devices, d)
	}
	var day, night context.Context
	day, l.evening = context.WithCancel(t.Context())
	night, l.morning = context.WithCancel(t.Context())
	t.Cleanup(l.morning)
	fork := func() *rand.Rand { return rand.New(rand.NewPCG(seed, l.random.Uint64())) }
	for i := range loadGuests {
		r := fork()
		l.people.Go(func() error { l.guest(day, night, r, i); return nil })
	}
	for id := range l.locks {
		r := fork()
		l.people.Go(func() error { l.manager(day, night, r, id+1); return nil })
	}
	l.began = time.Now()
	t.Cleanup(func() { c.keepEvidence(t) })
	return l
}

// mustFlow waits until there is load, and fails a test whose fault would meet too little to show anything.
func (l *load) mustFlow(t *testing.T) {
	t.Helper()
	rate := 0.0
	for range loadWindows {
		before := len(l.s.ledger.all())
		require.True(t, pause(t.Context(), loadWindow))
		if rate = float64(len(l.s.ledger.all())-before) / loadWindow.Seconds(); rate >= loadFloor {
			t.Logf("%5.1f s: %.0f answers a second", time.Since(l.began).Seconds(), rate)
			return
		}
	}
	require.Fail(t, "void: so little load shows nothing", "%.0f answers a second", rate)
}

// end waits until everybody has gone home and everything is settled, stops the cluster, and checks the invariants.
func (l *load) end(t *testing.T) []journal.Record {
	t.Helper()
	l.evening()
	gone := make(chan struct{})
	go func() { _ = l.people.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(patience):
		require.Fail(t, "somebody still waits for an answer")
	}
	if err := l.failed.Load(); err != nil {
		require.NoError(t, *err)
	}
	for _, d := range l.devices {
		require.NoError(t, d.SetFaults(sim.Faults{}))
		d.Heal()
	}
	l.settle(t)
	for id := range l.locks {
		answer, err := l.s.list(t.Context(), id+1)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.status)
	}
	records := l.cluster.conclude(t)
	outcomes, silent := make(map[lock.Outcome]int), 0
	for _, c := range readStory(records).commands {
		outcomes[c.outcome]++
	}
	for _, a := range l.s.ledger.all() {
		if a.status == 0 {
			silent++
		}
	}
	require.Positive(t, outcomes[lock.Opened])
	t.Logf("%d calls without an answer; %v; %d movements", silent, outcomes, l.s.motors.Total())
	return records
}
