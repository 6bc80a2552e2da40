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
