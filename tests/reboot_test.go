package tests

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

// Bar: a device that reboots between receiving and answering, and may lose its journal: the outcome is resolved, or the
// open stays unknown and the use spent.
func TestDeviceRebootsInTheMiddleOfAnOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cases := []struct {
		at    sim.RebootPoint
		loses bool // the journal
		moves int
		ends  lock.Outcome
		uses  int64
	}{
		{sim.RebootBeforeJournal, false, 0, lock.Expired, 0},
		{sim.RebootBeforeJournal, true, 0, lock.Unknown, 1},
		{sim.RebootBeforeMotor, false, 0, lock.Unknown, 1}, // the journal says only that it began
		{sim.RebootBeforeMotor, true, 0, lock.Unknown, 1},
		{sim.RebootBeforeEnd, false, 1, lock.Unknown, 1},
		{sim.RebootBeforeAnswer, false, 1, lock.Opened, 1},
		{sim.RebootBeforeAnswer, true, 1, lock.Unknown, 1},
		{sim.RebootAfterAnswer, false, 1, lock.Opened, 1},
		{sim.RebootAfterAnswer, true, 1, lock.Opened, 1},
	}
	rounds := dose.Of(3, 63) // of each case
	creds := s.provision(t, len(cases)*rounds)
	devices, keys, sessions := make([]*sim.Device, len(creds)), make([]guestKey, len(creds)), make([]string, len(creds))
	for i, c := range creds {
		devices[i] = s.device(t, c, travels(time.Duration(i%rounds)*50*time.Millisecond))
		connect(t, devices[i])
		keys[i], sessions[i] = s.newKey(t, c.LockID, 1), devices[i].Session()
		devices[i].RebootInNextOpen(cases[i/rounds].at, cases[i/rounds].loses)
	}
	for i := range creds {
		go func() { _, _ = s.open(t.Context(), true, keys[i], "r") }() // the answer is what the confirmation tells
	}
	for i, c := range cases {
		for j := i * rounds; j < (i+1)*rounds; j++ {
			awaitSession(t, devices[j], sessions[j])
			s.awaitEnd(t, creds[j].LockID, "r")
			require.Equal(t, c.ends, s.becomes(t, keys[j], "r", c.ends))
			require.Len(t, devices[j].Movements(), c.moves, "%s, loses journal: %t", c.at, c.loses)
			require.Equal(t, c.uses, s.listed(t, keys[j]).UsedCount, "%s, loses journal: %t", c.at, c.loses)
		}
		t.Logf("%d reboots %s, journal lost: %t: %d movements, %s, %d uses", rounds, c.at, c.loses, c.moves*rounds, c.ends, c.uses)
	}
	for i, c := range creds { // the locks work as before
		key := s.newKey(t, c.LockID, 1)
		s.mustOpen(t, key, "again")
		s.becomes(t, key, "again", lock.Opened)
		require.Len(t, devices[i].Movements(), cases[i/rounds].moves+1)
	}
	s.conclude(t)
}

// Bar: a motor that jammed is never told of as an open door, also when the answer was lost and the device is asked.
func TestAJamWhoseAnswerIsLostIsNotAnOpenDoor(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.provision(t, 1)[0]
	d := s.device(t, c)
	connect(t, d)
	require.NoError(t, d.SetFaults(sim.Faults{Refuse: wire.CodeJammed, Executed: "true", Reboot: sim.RebootBeforeAnswer}))
	key, session := s.newKey(t, c.LockID, 1), d.Session()
	go func() { _, _ = s.open(t.Context(), true, key, "r") }()
	awaitSession(t, d, session)
	s.awaitEnd(t, c.LockID, "r")
	require.Equal(t, lock.Unknown, s.becomes(t, key, "r", lock.Unknown, lock.Opened))
	require.Eventually(t, func() bool {
		all := s.events(t, c.LockID)
		return slices.ContainsFunc(all, func(e publicEvent) bool { return e.Type == "LockOpenFailed" && e.Event["reason"] == "moved" })
	}, patience, pollEvery, "the device is asked, and its journal does not say more than it knows")
	require.Len(t, d.Movements(), 1)
	require.EqualValues(t, 1, s.listed(t, key).UsedCount, "the use stays spent")
	s.conclude(t)
}

// awaitEnd waits until the events of a lock tell how its only open so far has ended, whatever may still be learnt later.
func (s *server) awaitEnd(t *testing.T, id int64, request string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, e := range s.events(t, id) {
			if e.Type == "LockOpened" || e.Type == "LockOpenFailed" {
				return true
			}
		}
		return false
	}, patience, pollEvery, "the open %s of lock %d does not end", request, id)
}
