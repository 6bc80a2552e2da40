package tests

import (
	"context"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

const (
	fleetLocks  = 20
	fleetGuests = 16
	fleetGap    = 3 * time.Second // mean time between two troubles of the server
	fleetFloor  = 20              // answers a second before the first of them; with fewer the test shows nothing
	zombieSleep = 7 * time.Second // longer than an open lives
)

// trouble gives a device faults of its own.
func trouble(random *rand.Rand) sim.Faults {
	f := sim.Faults{LatencyMax: time.Duration(random.IntN(40)) * time.Millisecond}
	switch random.IntN(6) {
	case 0:
		f.DropEvery = 2 * time.Second
	case 1:
		f.RebootEvery, f.LoseJournal = 3*time.Second, random.IntN(2) == 0
	case 2:
		f.HalfOpenEvery, f.HalfOpenFor = 4*time.Second, time.Duration(1+random.IntN(9))*time.Second
	case 3:
		f.OpenRate, f.Refuse, f.Executed = 0.3, wire.CodeJammed, []string{"false", "true", "unknown"}[random.IntN(3)]
	case 4:
		f.OpenRate, f.Reboot = 0.2, sim.RebootPoints[random.IntN(len(sim.RebootPoints))]
		f.LoseJournal = random.IntN(2) == 0
	case 5:
		f.OpenRate, f.AnswerTwice, f.StrayAnswer = 0.3, true, true
	}
	return f
}

// serverTroubles are what happens to the server while the fleet is used, in this order.
var serverTroubles = []struct {
	name   string
	happen func(*testing.T, *server)
}{
	{"kill -9", func(t *testing.T, s *server) { s.restart(t) }},
	{"frozen", func(t *testing.T, s *server) {
		s.signal(t, syscall.SIGSTOP)
		pause(t.Context(), zombieSleep)
		s.signal(t, syscall.SIGCONT)
	}},
	{"kill -9", func(t *testing.T, s *server) { s.restart(t) }},
	{"stopped in good order", func(t *testing.T, s *server) {
		s.signal(t, syscall.SIGTERM)
		require.Equal(t, 0, s.exit(t))
		s.start(t)
	}},
	{"kill -9", func(t *testing.T, s *server) { s.restart(t) }},
}

// Bar: all invariants hold while a fleet with all kinds of faults is used by everybody at once, and the server is killed
// with signal 9 again and again.
func TestFleetKeepsTheInvariants(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	fork := func() *rand.Rand { return rand.New(rand.NewPCG(seed, random.Uint64())) }

	s := newServer(t)
	e := &estate{s: s, locks: fleetLocks, keys: make(map[int64][]guestKey)}
	creds := s.provision(t, fleetLocks)
	devices := make([]*sim.Device, fleetLocks)
	for i, c := range creds {
		devices[i] = s.device(t, c, travels(time.Duration(random.IntN(60))*time.Millisecond))
		connect(t, devices[i])
		require.NoError(t, devices[i].SetFaults(trouble(random)))
	}

	day, evening := context.WithCancel(t.Context())
	night, morning := context.WithTimeout(t.Context(), 2*patience) // who has asked by day still hears the answer
	defer morning()
	var people errgroup.Group
	for i := range fleetGuests {
		r := fork()
		people.Go(func() error { e.guest(day, night, r, i); return nil })
	}
	for _, c := range creds {
		r := fork()
		people.Go(func() error { e.manager(day, night, r, c.LockID); return nil })
	}
	start := time.Now()
	rate := 0.0
	for i, trouble := range serverTroubles {
		require.True(t, pause(t.Context(), fleetGap/2+time.Duration(random.Int64N(int64(fleetGap)))))
		if i == 0 {
			rate = float64(len(s.ledger.all())) / time.Since(start).Seconds()
		}
		t.Logf("%5.1f s: %s", time.Since(start).Seconds(), trouble.name)
		trouble.happen(t, s)
	}
	require.True(t, pause(t.Context(), fleetGap/2))
	evening()
	require.NoError(t, people.Wait())
	lasted := time.Since(start)
	if err := e.failed.Load(); err != nil {
		require.NoError(t, *err)
	}
	require.Greater(t, rate, float64(fleetFloor), "so little load shows nothing")

	// Everything heals, so that every open is resolved or unknown for ever, and the lists say what came of it.
	for _, d := range devices {
		require.NoError(t, d.SetFaults(sim.Faults{}))
		d.Heal()
	}
	e.settle(t)
	for _, c := range creds {
		answer, err := s.list(t.Context(), c.LockID)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.status)
	}
	records := s.conclude(t)
	told := readStory(records)
	outcomes, silent := make(map[lock.Outcome]int), 0
	for _, c := range told.commands {
		outcomes[c.outcome]++
		if c.outcome == lock.Sent || c.outcome == lock.Reserved {
			for _, r := range c.requests { // but for those that nobody could ask about when everything had settled
				require.True(t, told.keys[r.key] != nil && told.keys[r.key].deleted, "request %s has no end", r.id)
			}
		}
	}
	for _, a := range s.ledger.all() {
		if a.status == 0 {
			silent++
		}
	}
	require.Positive(t, outcomes[lock.Opened])
	t.Logf("%.0f answers a second before the first trouble, %s in all; %d calls without an answer; %d requests in %d commands: %v; %d uses came back",
		rate, lasted.Round(time.Second), silent, len(told.requests), len(told.commands), outcomes, len(told.returns))
}
