package lock

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStrangersSeeNothing: whoever has no right to a lock cannot tell it from one that does not exist, whatever the
// command, and however wrong it is besides.
func TestStrangersSeeNothing(t *testing.T) {
	t.Parallel()
	there := newShell(t)
	there.must(&SetOrganization{By: Caller{Super: true}, OrgID: "acme"})
	there.must(&SetOwner{By: Caller{Super: true}, UserID: "ann"})
	there.connect()
	commands := []Command{
		&SetOwner{}, &SetOrganization{}, &AddKey{}, &RemoveKey{}, &AddResident{}, &RemoveResident{}, &RotateDeviceSecret{},
		&CreateTempKey{}, &UpdateTempKey{TempKeyID: name(1)}, &DeleteTempKey{TempKeyID: name(1)},
		&CreateTempKeys{}, &UpdateTempKeys{Updates: make([]UpdateTempKey, 1)},
		&OpenLock{RequestID: "r", CommandID: "c", Lifetime: time.Second}, &GetLock{}, &ListTempKeys{},
	}
	for _, by := range []Caller{{}, {OrgID: "umbrella"}, {UserID: "bob"}, {OrgID: "umbrella", UserID: "bob"}, {OrgID: "ann", UserID: "acme"}} {
		for _, c := range commands {
			reflect.ValueOf(c).Elem().FieldByName("By").Set(reflect.ValueOf(by))
			_, absent := Decide(new(State), c, noon)
			_, err := Decide(there.s, c, noon)
			require.Error(t, err, "%T by %+v", c, by)
			require.Equal(t, absent, err, "%T by %+v", c, by)
			require.Equal(t, NotFound, err.(*Error).Kind)
		}
	}
}

// TestDevicesOfLocksThatAreNot: what a device says of a lock that does not exist is answered, and does nothing.
func TestDevicesOfLocksThatAreNot(t *testing.T) {
	t.Parallel()
	for _, c := range []Command{
		new(Tick), new(KeepDevice), new(DisconnectDevice), new(AnswerOpen), new(AnswerStatus), new(ReportEvents),
	} {
		d, err := Decide(new(State), c, noon)
		require.NoError(t, err)
		require.Equal(t, Decision{Reply: &Done{}}, d)
	}
	_, err := Decide(new(State), new(ConnectDevice), noon)
	require.Error(t, err)
	_, err = Decide(newShell(t).s, nil, noon)
	require.ErrorContains(t, err, "does not know the command")
}

// Of a lock that was handed on its next organisation reads what happened since. The owner, who stays, and the operator read all.
func TestWhoseEventsAreWhose(t *testing.T) {
	t.Parallel()
	s := new(State)
	super, acme, umbrella, ann := Caller{Super: true}, Caller{OrgID: "acme"}, Caller{OrgID: "umbrella"}, Caller{UserID: "ann"}
	apply(t, s, &CreateLock{By: acme, ID: 1, UUID: deviceUUID("u1"), Index: 1, OwnerID: "ann"})
	after := func(by Caller) uint64 {
		t.Helper()
		data, err := MarshalState(s)
		require.NoError(t, err)
		loaded, err := UnmarshalState(data)
		require.NoError(t, err)
		d, err := Decide(loaded, &GetLock{By: by}, noon)
		require.NoError(t, err)
		return d.Reply.(*Info).EventsAfter
	}
	require.Zero(t, after(acme))
	apply(t, s, &SetConfig{By: acme, RelockMs: 5000})
	apply(t, s, &SetOrganization{By: acme, OrgID: "umbrella"})
	apply(t, s, &SetConfig{By: umbrella, RelockMs: 6000})
	require.EqualValues(t, 2, after(umbrella), "its first event is that it got the lock")
	require.Zero(t, after(super))
	require.Zero(t, after(ann))
	require.Zero(t, after(Caller{OrgID: "umbrella", UserID: "ann"}))
	require.EqualValues(t, 2, after(Caller{OrgID: "umbrella", UserID: "bob"}))
	apply(t, s, &SetOrganization{By: super, OrgID: "acme"})
	require.EqualValues(t, 4, after(acme), "an organisation that gets a lock back has it since then")
}
