package sim_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

// key is a command about a key that a good server would send now.
func (c *session) key(commandID, uuid string, index ...int64) wire.Key {
	p := wire.Key{CommandID: commandID, Session: c.name, Epoch: 101, BootID: c.hello.BootID, NotAfterMono: c.hello.Mono + 5000, KeyUUID: uuid}
	if len(index) > 0 {
		p.KeyIndex = &index[0]
	}
	return p
}

// change sends a command about a key and gives its answer: "done", or the code and what was executed.
func (c *session) change(action string, p wire.Key) string {
	t := c.s.t
	t.Helper()
	id := c.post(action, &p)
	f := recv(t, c.frames)
	require.Equal(t, id, string(f.ID))
	if f.Kind == wire.Error {
		var d wire.Details
		require.NoError(t, d.Parse(f.Details))
		return string(f.Code) + " " + [...]string{"unknown", "false", "true"}[d.Executed]
	}
	var r wire.KeyResult
	require.NoError(t, r.Parse(f.Payload))
	require.Equal(t, p.CommandID, r.CommandID)
	return wire.OutcomeDone
}

func uuids(d *sim.Device) (all []string) {
	for _, k := range d.Keys() {
		all = append(all, k.UUID)
	}
	return all
}

func TestGoodFirmwareKeepsKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{})
	c := s.next()
	require.Equal(t, "done", c.change(wire.ActionAddKey, c.key("c1", "card-1", 1)))
	require.Equal(t, "done", c.change(wire.ActionAddKey, c.key("c2", "card-2", 2)))
	require.Equal(t, "done", c.change(wire.ActionWriteKey, c.key("c3", "card-3", 2)), "a number has one key")
	require.Equal(t, []string{"card-1", "card-3"}, uuids(d))
	require.Equal(t, "done", c.change(wire.ActionRemoveKey, c.key("c4", "card-1")))
	require.Equal(t, "done", c.change(wire.ActionRemoveKey, c.key("c5", "card-9")), "what is not there is gone")
	require.Equal(t, "done", c.change(wire.ActionAddKey, c.key("c1", "card-1", 1)), "a repeat is answered from the journal,")
	require.Equal(t, []string{"card-3"}, uuids(d), "and does nothing")
	require.Equal(t, wire.StatusExecuted, c.status("c4"))
	require.Equal(t, wire.StatusNotSeen, c.status("c9"))

	for name, spoil := range map[string]func(*wire.Key){
		"Expired false":      func(p *wire.Key) { p.NotAfterMono = 0 },
		"StaleSession false": func(p *wire.Key) { p.Session = "s0" },
		"BootMismatch false": func(p *wire.Key) { p.BootID = "b0" },
		"StaleEpoch false":   func(p *wire.Key) { p.Epoch = 99 },
	} {
		p := c.key("bad-"+strings.ReplaceAll(name, " ", "-"), "card-4")
		spoil(&p)
		require.Equal(t, name, c.change(wire.ActionAddKey, p))
	}
	require.Equal(t, []string{"card-3"}, uuids(d))
	require.Equal(t, "opened", c.open(c.order("c20")), "an open goes on as ever")
}

func TestBadFirmwareAndKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{Faults: sim.Faults{NoKeys: true}})
	c := s.joined(d)
	require.NotContains(t, c.hello.Caps, wire.CapKeys)
	require.Equal(t, "Unsupported false", c.change(wire.ActionAddKey, c.key("c1", "card-1")))

	require.NoError(t, d.SetFaults(sim.Faults{RefuseKeys: wire.CodeNoSpace}))
	require.Equal(t, "NoSpace false", c.change(wire.ActionAddKey, c.key("c2", "card-1")))
	require.Equal(t, wire.StatusRefused, c.status("c2"))
	require.Empty(t, d.Keys())

	require.NoError(t, d.SetFaults(sim.Faults{SilentKeys: true}))
	p := c.key("c3", "card-1")
	c.post(wire.ActionAddKey, &p)
	require.Equal(t, wire.StatusExecuted, c.status("c3"), "it obeys and says nothing")
	require.Equal(t, []string{"card-1"}, uuids(d))
	require.Error(t, d.SetFaults(sim.Faults{RefuseKeys: "Nonsense"}))
}

// Wherever the power is lost, the journal does not deny what the table has.
func TestRebootInTheMiddleOfAChangeOfTheTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at     sim.RebootPoint
		status string
		table  []string
		repeat string
	}{
		{sim.RebootBeforeJournal, wire.StatusNotSeen, nil, "done"},
		{sim.RebootBeforeMotor, wire.StatusJournalLost, nil, "Internal unknown"},
		{sim.RebootBeforeEnd, wire.StatusJournalLost, []string{"card-1"}, "Internal unknown"},
		{sim.RebootBeforeAnswer, wire.StatusExecuted, []string{"card-1"}, "done"},
	} {
		t.Run(string(c.at), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			d := s.device(sim.DeviceOptions{Faults: sim.Faults{RebootKeys: c.at}})
			before := s.joined(d)
			p := before.key("c1", "card-1")
			before.post(wire.ActionAddKey, &p)
			recv(t, before.ended)
			require.Empty(t, before.frames)
			s.set(func() { s.greeting.Resolve = []string{"c1"} })
			after := s.joined(d)
			require.Equal(t, c.status, after.status("c1"))
			require.Equal(t, c.table, uuids(d))
			require.NoError(t, d.SetFaults(sim.Faults{}))
			require.Equal(t, c.repeat, after.change(wire.ActionAddKey, after.key("c1", "card-1")))
		})
	}
}

func TestATableThatMayNotBeDurableIsNotDenied(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{Faults: sim.Faults{TornKeys: true}})
	c := s.joined(d)
	require.Equal(t, "Internal unknown", c.change(wire.ActionAddKey, c.key("c1", "card-1")))
	require.Equal(t, wire.StatusJournalLost, c.status("c1"), "it may have the key, so it is not refused")
	require.Error(t, d.SetFaults(sim.Faults{RebootKeys: sim.RebootAfterAnswer}))
}

func TestKeysAndConfigurationSurvive(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	path := filepath.Join(t.TempDir(), "flash")
	for life := range 2 {
		flashes, err := sim.OpenFlashFile(path)
		require.NoError(t, err)
		d := s.device(sim.DeviceOptions{Flash: flashes.Flash(testUUID)})
		c := s.joined(d)
		if life == 0 {
			require.Equal(t, "done", c.change(wire.ActionAddKey, c.key("c1", "card-1", 1)))
			require.Equal(t, "done", c.change(wire.ActionAddKey, c.key("c2", "card-2", 2)))
			require.Equal(t, "done", c.change(wire.ActionRemoveKey, c.key("c3", "card-1")))
			id := c.post(wire.ActionSetConfig, &wire.Config{Config: 4, RelockMs: 40})
			f := recv(t, c.frames)
			require.Equal(t, id, string(f.ID))
			require.JSONEq(t, `{"config":4}`, string(f.Payload))
		} else {
			require.EqualValues(t, 4, c.hello.Reported.Config)
			require.Equal(t, []string{"card-2"}, uuids(d))
			require.Equal(t, wire.StatusExecuted, c.status("c3"))
		}
		d.Stop()
		require.NoError(t, flashes.Close())
	}
}

func TestADeviceTakesTheConfigurationOfItsGreeting(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.set(func() { s.greeting.Desired = &wire.Config{Config: 9, RelockMs: 30} })
	d := s.device(sim.DeviceOptions{Motor: sim.MotorOptions{Relock: time.Hour}})
	c := s.joined(d)
	c.sees("config=9")
	p := c.order("c1")
	p.PulseMs = 0
	require.Equal(t, "opened", c.open(p))
	c.sees("bolt=unlocked", "bolt=locked")
	id := c.post(wire.ActionSetConfig, &wire.Config{Config: 8, RelockMs: 1})
	f := recv(t, c.frames)
	require.Equal(t, id, string(f.ID))
	require.JSONEq(t, `{"config":9}`, string(f.Payload), "an older one does not win")

	// But Hello does: the server may have been restored from a backup.
	s.set(func() { s.greeting.Desired = &wire.Config{Config: 7, RelockMs: 40} })
	d.DropSocket()
	c = s.joined(d)
	require.EqualValues(t, 9, c.hello.Reported.Config)
	c.sees("config=7")
	s.set(func() { s.greeting.Desired = nil })
	d.DropSocket()
	require.EqualValues(t, 7, s.joined(d).hello.Reported.Config)
}
