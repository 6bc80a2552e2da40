package sim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

func TestGoodFirmwareOpensOnceAndReports(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{
		Firmware: "1.4.2", Battery: 78, Motor: sim.MotorOptions{Travel: time.Millisecond, OpensIn: 2 * time.Millisecond, Stays: 600 * time.Millisecond},
	})
	c := s.next()
	require.Equal(t, d.BootID(), c.hello.BootID)
	require.Equal(t, "1.4.2", c.hello.Firmware)
	require.Equal(t, []string{wire.CapDeadline, wire.CapJournal, wire.CapKeys}, c.hello.Caps)
	require.Equal(t, wire.Reported{Bolt: "locked", Door: "closed", Battery: 78}, c.hello.Reported)

	before := time.Now()
	p := c.order("c1")
	p.PulseMs = 300
	require.Equal(t, "opened", c.open(p))
	// The pulse ends while the door is open, so the bolt waits for the door.
	c.sees("bolt=unlocked", "door=open", "door=closed", "bolt=locked")
	require.Equal(t, "locked", d.Bolt())

	require.Len(t, d.Movements(), 1)
	m := d.Movements()[0]
	require.WithinRange(t, m.Time, before, time.Now())
	require.Equal(t, int64(7), m.LockID)
	require.Equal(t, "c1", m.CommandID)
	require.Equal(t, c.name, m.Session)
	require.Equal(t, m.NotAfterMono-m.Mono, m.MarginMs)
	require.Positive(t, m.MarginMs)
	require.True(t, m.DeadlineEnforced)
}

func TestRepeatedCommandGetsTheStoredResult(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{})
	c := s.next()
	require.Equal(t, "opened", c.open(c.order("c1")))
	require.Equal(t, "opened", c.open(c.order("c1")))
	late := c.order("c1")
	late.NotAfterMono = 0
	require.Equal(t, "opened", c.open(late), "a late repeat of an open that happened must not deny it")

	late = c.order("c2")
	late.NotAfterMono = 0
	require.Equal(t, "Expired false", c.open(late))
	require.Equal(t, "Expired false", c.open(c.order("c2")), "what was refused once stays refused")
	require.Len(t, d.Movements(), 1)
	require.Equal(t, wire.StatusExecuted, c.status("c1"))
	require.Equal(t, wire.StatusRefused, c.status("c2"))
	require.Equal(t, wire.StatusNotSeen, c.status("c3"))
}

func TestChecksBeforeTheMotor(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{})
	c := s.next()
	for i, check := range []struct {
		want   string
		change func(*wire.Open)
	}{
		{"BootMismatch false", func(p *wire.Open) { p.BootID = "b-before" }},
		{"StaleSession false", func(p *wire.Open) { p.Session = "s0" }},
		{"StaleEpoch false", func(p *wire.Open) { p.Epoch = 99 }}, // Hello was answered with 100
		{"Expired false", func(p *wire.Open) { p.NotAfterMono = 0 }},
		{"opened", func(*wire.Open) {}},
		{"StaleEpoch false", func(p *wire.Open) { p.Epoch = 100 }}, // the open before had 101
		{"opened", func(*wire.Open) {}},                            // not lower is enough
	} {
		p := c.order(fmt.Sprintf("c%d", i))
		check.change(&p)
		require.Equal(t, check.want, c.open(p))
	}
	require.Len(t, d.Movements(), 2)
}

// A server that was restored from a backup, or another one, counts from where it is: commands of the sessions before are refused by
// those, and not by their epoch.
func TestHelloSetsTheEpochAndASessionOnlyRaisesIt(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{})
	c := s.joined(d)
	order := func(id string, epoch uint64) wire.Open {
		p := c.order(id)
		p.Epoch = epoch
		return p
	}
	require.Equal(t, "opened", c.open(order("c1", 5000)))
	require.Equal(t, "StaleEpoch false", c.open(order("c2", 4999)))
	s.set(func() { s.greeting.Epoch = 50 })
	old := order("c3", 5001)
	d.DropSocket()
	c = s.joined(d)
	require.Equal(t, "StaleSession false", c.open(old))
	require.Equal(t, "StaleEpoch false", c.open(order("c4", 49)))
	require.Equal(t, "opened", c.open(order("c5", 51)))
	require.Equal(t, "StaleEpoch false", c.open(order("c6", 50)))
	add := c.key("c7", "card-1")
	add.Epoch = 50
	require.Equal(t, "StaleEpoch false", c.change(wire.ActionAddKey, add))
	add.CommandID, add.Epoch = "c8", 52
	require.Equal(t, "done", c.change(wire.ActionAddKey, add))
	require.Equal(t, "StaleEpoch false", c.open(order("c9", 51)), "a change of a key raises it too")
	require.Len(t, d.Movements(), 2)
}

func TestUnknownActionsAndBadPayloadsAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.device(sim.DeviceOptions{})
	c := s.next()
	for action, code := range map[string]string{"MakeCoffee": wire.CodeUnsupported, wire.ActionOpen: wire.CodeBadFormat, wire.ActionCommandStatus: wire.CodeBadFormat} {
		id := c.post(action, wire.Empty{})
		f := recv(t, c.frames)
		require.Equal(t, id, string(f.ID))
		require.Equal(t, code, string(f.Code))
	}
	c.send([]byte("{"))
	require.Equal(t, "opened", c.open(c.order("c1")), "garbage must not end the session")
}

func TestBatteryRunsDown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.device(sim.DeviceOptions{Battery: 12})
	c := s.next()
	for i := range 200 {
		require.Equal(t, "opened", c.open(c.order(fmt.Sprintf("c%d", i))))
		if i == 99 {
			c.seesAmong("battery=11")
		}
	}
	c.seesAmong("battery=100") // at 10 per cent somebody changes it
}

func TestDriftAndOffsetOfTheClock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{Drift: sim.Drift{Offset: time.Hour, PPM: 1e6}}) // twice as fast
	c := s.next()
	require.GreaterOrEqual(t, c.hello.Mono, time.Hour.Milliseconds())
	mono, at := d.Mono(), time.Now()
	require.Eventually(t, func() bool { return d.Mono() >= mono+40 }, patience, time.Millisecond)
	require.GreaterOrEqual(t, 2*time.Since(at), 38*time.Millisecond)
	require.Equal(t, "opened", c.open(c.order("c1")))
}

func TestFaultsOfAnOpen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults sim.Faults
		answer string
		status string
		moved  int // -1: any
	}{
		{"jam", sim.Faults{Refuse: wire.CodeJammed}, "Jammed false", wire.StatusRefused, 0},
		{"low battery", sim.Faults{Refuse: wire.CodeLowBattery, Executed: "false"}, "LowBattery false", wire.StatusRefused, 0},
		{"busy", sim.Faults{Refuse: wire.CodeBusy}, "Busy false", wire.StatusRefused, 0},
		{"jam after moving", sim.Faults{Refuse: wire.CodeJammed, Executed: "true"}, "Jammed true", wire.StatusMoved, 1},
		{"unknown", sim.Faults{Refuse: wire.CodeInternal, Executed: "unknown"}, "Internal unknown", wire.StatusJournalLost, -1},
		{"no journal", sim.Faults{NoJournal: true}, "opened", wire.StatusJournalLost, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			d := s.device(sim.DeviceOptions{Faults: c.faults})
			session := s.next()
			require.Equal(t, c.answer, session.open(session.order("c1")))
			require.Equal(t, c.status, session.status("c1"))
			if c.moved >= 0 {
				require.Len(t, d.Movements(), c.moved)
			}
			if c.faults.Refuse == wire.CodeLowBattery {
				require.Equal(t, 3, session.hello.Reported.Battery)
			}
			require.NoError(t, d.SetFaults(sim.Faults{}))
			require.Equal(t, "opened", session.open(session.order("c2")), "faults end when they are switched off")
		})
	}
}

func TestFirmwareWithoutDeadline(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{Faults: sim.Faults{NoDeadline: true}})
	c := s.next()
	require.Equal(t, []string{wire.CapJournal, wire.CapKeys}, c.hello.Caps)
	late := c.order("c1")
	late.NotAfterMono = 0
	require.Equal(t, "opened", c.open(late))
	require.Negative(t, d.Movements()[0].MarginMs-1)
	require.False(t, d.Movements()[0].DeadlineEnforced)
}

func TestFirmwareWithoutJournalMovesAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{Faults: sim.Faults{NoJournal: true}})
	c := s.next()
	require.Equal(t, []string{wire.CapDeadline, wire.CapKeys}, c.hello.Caps)
	require.Equal(t, "opened", c.open(c.order("c1")))
	require.Equal(t, "opened", c.open(c.order("c1")))
	require.Len(t, d.Movements(), 2)
}

func TestAnswersTwiceAndForCallsNeverMade(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{Faults: sim.Faults{AnswerTwice: true, StrayAnswer: true}})
	c := s.next()
	p := c.order("c1")
	id := c.post(wire.ActionOpen, &p)
	require.Equal(t, "never-made", string(recv(t, c.frames).ID))
	require.Equal(t, "opened", c.answer(id, "c1"))
	require.Equal(t, "opened", c.answer(id, "c1"))
	require.Len(t, d.Movements(), 1)
	require.NoError(t, d.SendStrayAnswer())
	require.Equal(t, "never-made", string(recv(t, c.frames).ID))
}

func TestLatencyCountsAgainstTheDeadline(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{})
	c := s.next()
	require.NoError(t, d.SetFaults(sim.Faults{LatencyMin: 60 * time.Millisecond, LatencyMax: 70 * time.Millisecond}))
	p := c.order("c1")
	p.NotAfterMono = d.Mono() + 30
	at := time.Now()
	require.Equal(t, "Expired false", c.open(p))
	require.GreaterOrEqual(t, time.Since(at), 120*time.Millisecond, "a frame down and a frame up")
	require.Empty(t, d.Movements())
}
