package lock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a device says of its battery is shown as per cent; anything else is kept in the journal and not believed.
func TestBatteryIsPerCent(t *testing.T) {
	t.Parallel()
	r := Reported{Battery: 50}
	for value, want := range map[string]int{"0": 0, "100": 100, "101": 50, "-1": 50, "999999999": 50, "full": 50, "": 50} {
		next := r
		next.note(DeviceEvent{Type: "battery", Value: value})
		require.Equal(t, want, next.Battery, value)
	}
}

// What a device says is shown to people. It can neither end a line, nor colour what stands beside it, nor turn it round.
func TestWhatADeviceSaysCanBeSeen(t *testing.T) {
	t.Parallel()
	const bad, good = "1\x1b[31m\u009b\x07\u202e\u2066\u2029\r\n\t\x7f", "1\uFFFD[31m\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD"
	s := new(State)
	Evolve(s, &LockCreated{Stamp: Stamp{At: noon, LockUUID: deviceUUID("u1"), OrgID: "acme"}, LockID: 1, Index: 1})
	session, acme := Session{Node: "n", ID: 1}, Caller{OrgID: "acme"}
	apply(t, s, &ConnectDevice{Device: Device{Session: session, Firmware: bad, Reported: Reported{Bolt: bad, Door: bad}, Deadline: true}})
	require.Equal(t, [3]string{good, good, good}, [3]string{s.Device.Firmware, s.Device.Reported.Bolt, s.Device.Reported.Door})
	decide := func(c Command) Event {
		t.Helper()
		d, err := Decide(s, c, noon)
		require.NoError(t, err)
		return d.Events[0]
	}
	said := decide(&ReportEvents{Session: session, Items: []DeviceEvent{{Seq: 1, Type: bad, Value: bad}}}).(*DeviceReported)
	require.Equal(t, []DeviceEvent{{Seq: 1, Type: good, Value: good}}, said.Items)
	apply(t, s, &OpenLock{By: acme, RequestID: "r", CommandID: "c", Lifetime: 5 * time.Second})
	require.Equal(t, good, decide(&AnswerOpen{Session: session, CommandID: "c", Opened: true, Bolt: bad}).(*LockOpened).Bolt)
	require.Equal(t, good, decide(&AnswerOpen{Session: session, CommandID: "c", Code: "Jammed", Message: bad}).(*LockOpenFailed).Message)
}
