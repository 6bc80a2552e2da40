package lock

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"1", "0", "-1", "+1", "01", "", "9007199254740991", "9007199254740992", "1e3", "１", " 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			require.Zero(t, id)
			return
		}
		require.Equal(t, s, id.String())
		require.True(t, 1 <= id && id <= MaxID)
	})
}

func FuzzParseTempKeyID(f *testing.F) {
	for _, s := range []string{string(name(1)), "6F2C1F0E-8B7A-4D4E-9A55-0C1D2E3F4A5B", "6f2c1f0e8b7a4d4e9a550c1d2e3f4a5b", "", "{6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseTempKeyID(s)
		uuid, uuidErr := ParseUUID(s)
		require.Equal(t, err == nil, uuidErr == nil)
		if err != nil {
			require.Empty(t, id)
			return
		}
		require.Equal(t, strings.ToLower(s), string(id))
		require.Equal(t, string(id), string(uuid))
		again, err := ParseTempKeyID(string(id))
		require.NoError(t, err)
		require.Equal(t, id, again)
	})
}

// FuzzUnmarshalEvent: whatever a record holds, reading and applying it must not panic, and what was read comes back the
// same.
func FuzzUnmarshalEvent(f *testing.F) {
	for _, e := range append(examples(), plain()...) {
		typ, data, err := MarshalEvent(e)
		require.NoError(f, err)
		f.Add(typ, data)
	}
	f.Add("LockOpened", []byte(`null`))
	f.Fuzz(func(t *testing.T, typ string, data []byte) {
		e, err := UnmarshalEvent(typ, data)
		if err != nil {
			return
		}
		_, _ = PublicEvent(1, e)
		s := fuzzedState(t)
		Evolve(s, e)
		_, _ = Decide(s, new(Tick), noon.AddDate(1, 0, 0))
		_, _ = NextDeadline(s)
		typ, data, err = MarshalEvent(e)
		if err != nil {
			return // an instant that Go reads and does not write, such as one with an offset of 24 hours
		}
		again, err := UnmarshalEvent(typ, data)
		require.NoError(t, err)
		_, twice, err := MarshalEvent(again)
		require.NoError(t, err)
		require.Equal(t, string(data), string(twice))
	})
}

// FuzzUnmarshalState: the same for snapshots.
func FuzzUnmarshalState(f *testing.F) {
	f.Add([]byte(marshal(f, fuzzedState(f))))
	f.Add([]byte(`{"commands":[null],"requests":[null],"tempKeys":[null]}`))
	f.Add([]byte(`{"id":1,"tempKeys":[{"uuid":"a"},{"uuid":"a"}],"requests":[{"id":"a"},{"id":"a"}],"secrets":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := UnmarshalState(data)
		if err != nil {
			return
		}
		data, err = MarshalState(s)
		if err != nil {
			return
		}
		again, err := UnmarshalState(data)
		require.NoError(t, err)
		require.Equal(t, string(data), marshal(t, again))
		for _, c := range []Command{
			new(Tick), &GetLock{By: Caller{Super: true}}, &ListTempKeys{By: Caller{Super: true}}, &DeleteTempKey{By: Caller{Super: true}, TempKeyID: name(1)},
			&ConnectDevice{Device: Device{Journal: true}}, &RemoveKey{By: Caller{Super: true}, KeyUUID: "fob", CommandID: "k"},
			&AnswerStatus{Statuses: map[CommandID]CommandStatus{"c4": CommandExecuted}}, &GetBulkAddKeys{By: Caller{Super: true}, Job: "j1"}, &OpenWithTempKey{TempKeyID: name(1), RequestID: "r", CommandID: "c", Lifetime: 1, Hold: 1},
		} {
			d, err := Decide(s, c, noon)
			if err != nil {
				continue
			}
			for _, e := range d.Events {
				Evolve(s, e)
			}
		}
	})
}

// fuzzedState is a state with something of everything in it.
func fuzzedState(t require.TestingT) *State {
	s := new(State)
	for _, e := range examples() {
		switch e.(type) {
		case *TempKeyDeleted, *LockOpened, *LockOpenFailed, *KeyRemoved, *ResidentRemoved, *LockUuidChanged:
			continue
		}
		Evolve(s, e)
	}
	require.NotEmpty(t, s.Commands)
	require.NotEmpty(t, s.KeyWork.Commands)
	require.NotEmpty(t, s.KeyWork.Jobs)
	return s
}
