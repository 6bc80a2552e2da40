package sim_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

func TestRebootInTheMiddleOfAnOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at     sim.RebootPoint
		loses  bool
		status string
		repeat string
		moved  int
	}{
		{sim.RebootBeforeJournal, false, wire.StatusNotSeen, "opened", 0},
		{sim.RebootBeforeMotor, false, wire.StatusJournalLost, "Internal unknown", 0},
		{sim.RebootBeforeEnd, false, wire.StatusJournalLost, "Internal unknown", 1},
		{sim.RebootBeforeAnswer, false, wire.StatusExecuted, "opened", 1},
		{sim.RebootAfterAnswer, false, wire.StatusExecuted, "opened", 1},
		{sim.RebootBeforeJournal, true, wire.StatusJournalLost, "", 0},
		{sim.RebootBeforeMotor, true, wire.StatusJournalLost, "", 0},
		{sim.RebootBeforeAnswer, true, wire.StatusJournalLost, "", 1},
		{sim.RebootAfterAnswer, true, wire.StatusJournalLost, "", 1},
	} {
		t.Run(fmt.Sprintf("%s loses=%t", c.at, c.loses), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			d := s.device(sim.DeviceOptions{})
			before := s.next()
			d.RebootInNextOpen(c.at, c.loses)
			p := before.order("c1")
			id := before.post(wire.ActionOpen, &p)
			if c.at == sim.RebootAfterAnswer {
				require.Equal(t, "opened", before.answer(id, "c1"))
			}
			recv(t, before.ended)
			require.Empty(t, before.frames)

			s.set(func() { s.greeting.Resolve = []string{"c1"} })
			after := s.next()
			require.NotEqual(t, before.hello.BootID, after.hello.BootID)
			require.Less(t, after.hello.Mono, int64(2000), "the clock starts over")
			require.Equal(t, "locked", after.hello.Reported.Bolt)
			require.Equal(t, c.status, after.status("c1"))
			require.Len(t, d.Movements(), c.moved)

			require.Equal(t, "BootMismatch false", after.open(func() wire.Open { p := p; p.CommandID = "c2"; return p }()))
			if c.repeat != "" {
				require.Equal(t, c.repeat, after.open(after.order("c1")))
			}
			require.LessOrEqual(t, len(d.Movements()), 1, "a command moves the motor at most once")
		})
	}
}

func TestLostJournalIsAdmittedUntilNothingIsAskedAbout(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{})
	require.Equal(t, wire.StatusNotSeen, s.joined(d).status("c1"))
	s.set(func() { s.greeting.Resolve = []string{"c1"} })
	d.Reboot(true)
	require.Equal(t, wire.StatusJournalLost, s.joined(d).status("c1"))
	d.DropSocket() // the answer may have been lost, so it must stay the same
	require.Equal(t, wire.StatusJournalLost, s.joined(d).status("c1"))
	s.set(func() { s.greeting.Resolve = nil })
	d.DropSocket()
	require.Equal(t, wire.StatusNotSeen, s.next().status("c2"))
}

func TestFlashFileSurvivesTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flash")
	s := newServer(t)
	s.keep = true
	start := func() (*sim.Device, func()) {
		flashes, err := sim.OpenFlashFile(path)
		require.NoError(t, err)
		d := s.device(sim.DeviceOptions{Flash: flashes.Flash(testUUID)})
		return d, func() { d.Stop(); require.NoError(t, flashes.Close()) }
	}
	d, stop := start()
	c := s.next()
	require.Equal(t, "opened", c.open(c.order("c1")))
	c.sees("bolt=unlocked")
	require.Eventually(t, func() bool { return d.Bolt() == "locked" }, patience, time.Millisecond)
	stop()
	require.Len(t, d.Movements(), 1)

	d, stop = start()
	c = s.next()
	require.Equal(t, uint64(2), c.hello.LastSeq)
	c.sees("bolt=unlocked", "bolt=locked")
	require.Equal(t, wire.StatusExecuted, c.status("c1"))
	require.Equal(t, wire.StatusNotSeen, c.status("c2"))
	require.Equal(t, "opened", c.open(c.order("c1")))
	require.Empty(t, d.Movements())
	d.Reboot(true)
	s.next()
	stop()

	d, stop = start()
	require.Zero(t, s.next().hello.LastSeq)
	require.Empty(t, d.Movements())
	stop()
}

func TestFlashFileWithHalfALineIsRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flash")
	appendTo(t, path, `{"lock":"`+testUUID+`","acked":7,"epoch":3}`+"\n"+`{"lock":"`+testUUID+`","command":{"id":"c1","st`)
	flashes, err := sim.OpenFlashFile(path)
	require.NoError(t, err)
	require.NoError(t, flashes.Close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, `{"lock":"`+testUUID+`","acked":7}`+"\n", string(content), "older files have epochs, which do not count any more")
	appendTo(t, path, "nonsense\n")
	_, err = sim.OpenFlashFile(path)
	require.ErrorContains(t, err, "at byte")
}
