package lock

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// onceWorld is a lock that is only ever reached by way of the journal.
type onceWorld struct {
	t *testing.T
	s *State
}

func newOnceWorld(t *testing.T) *onceWorld {
	w := &onceWorld{t: t, s: new(State)}
	Evolve(w.s, &LockCreated{Stamp: Stamp{At: noon, LockUUID: deviceUUID("u1"), OrgID: "acme"}, LockID: 1, Index: 1})
	return w
}

func (w *onceWorld) do(key, hashed string, by Caller, c Command, now time.Time) (Decision, error) {
	w.t.Helper()
	d, err := Decide(w.s, &Once{By: by, Key: key, Hash: hash(hashed), Command: c}, now)
	for _, e := range d.Events {
		if Journaled(e) {
			typ, data, err := MarshalEvent(e)
			require.NoError(w.t, err)
			e, err = UnmarshalEvent(typ, data)
			require.NoError(w.t, err)
		}
		Evolve(w.s, e)
	}
	data, failed := MarshalState(w.s)
	require.NoError(w.t, failed)
	device := w.s.Device
	w.s, failed = UnmarshalState(data)
	require.NoError(w.t, failed)
	w.s.Device = device
	return d, err
}

func TestARequestWithANameIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	w, acme := newOnceWorld(t), Caller{OrgID: "acme"}
	set := &SetOwner{By: acme, UserID: "ann"}
	d, err := w.do("k", "a", acme, set, noon)
	require.NoError(t, err)
	require.Len(t, d.Events, 2)
	require.Equal(t, uint64(2), d.Reply.(*Done).Version)

	// Others have changed it meanwhile; the answer stays the same, and nothing happens.
	_, err = w.do("k2", "b", acme, &SetOwner{By: acme, UserID: "bob"}, noon)
	require.NoError(t, err)
	d, err = w.do("k", "a", acme, set, noon.Add(23*time.Hour))
	require.NoError(t, err)
	require.Equal(t, Decision{Reply: &Done{Version: 2, Replayed: true, EventVersion: 2}}, d)
	require.Equal(t, UserID("bob"), w.s.OwnerID)

	_, err = w.do("k", "b", acme, set, noon)
	require.Equal(t, Mismatch, err.(*Error).Kind)
	_, err = w.do("k", "a", Caller{OrgID: "umbrella"}, &SetOwner{By: Caller{OrgID: "umbrella"}, UserID: "eve"}, noon)
	require.Equal(t, NotFound, err.(*Error).Kind, "names belong to their callers")
	d, err = w.do("k", "c", Caller{Super: true}, &SetOwner{By: Caller{Super: true}, UserID: "cem"}, noon)
	require.NoError(t, err)
	require.Len(t, d.Events, 2, "another caller may use the same name")

	// What changed nothing is remembered as well.
	d, err = w.do("same", "d", acme, &SetOwner{By: acme, UserID: "cem"}, noon)
	require.NoError(t, err)
	require.Len(t, d.Events, 1)
	d, err = w.do("same", "d", acme, &SetOwner{By: acme, UserID: "cem"}, noon)
	require.NoError(t, err)
	require.Equal(t, &Done{Version: 7, Replayed: true}, d.Reply)

	// A day later the name is free.
	d, err = w.do("k", "z", acme, set, noon.Add(24*time.Hour))
	require.NoError(t, err)
	require.Len(t, d.Events, 2)
	require.Len(t, w.s.Once.list, 1, "older ones are forgotten")
}

func TestARefusedRequestLeavesItsNameFree(t *testing.T) {
	t.Parallel()
	w, acme := newOnceWorld(t), Caller{OrgID: "acme"}
	_, err := w.do("k", "a", acme, &SetOwner{By: acme, UserID: "a\nb"}, noon)
	require.Equal(t, Invalid, err.(*Error).Kind)
	_, err = w.do("k", "b", acme, &SetOwner{By: acme, UserID: "ann"}, noon)
	require.NoError(t, err)
	for _, c := range []*Once{
		{By: acme, Key: "", Hash: hash("a")}, {By: acme, Key: "a b", Hash: hash("a")}, {By: acme, Key: "k", Hash: []byte("short")},
		{By: acme, Key: "k3", Hash: hash("a")}, {By: acme, Key: "k3", Hash: hash("a"), Command: &Once{By: acme}},
	} {
		_, err := Decide(w.s, c, noon)
		require.Equal(t, Invalid, err.(*Error).Kind)
	}
}

func TestALockThatIsCreatedOnce(t *testing.T) {
	t.Parallel()
	acme := Caller{OrgID: "acme"}
	s := new(State)
	c := &Once{By: acme, Key: "k", Hash: hash("a"), Command: &CreateLock{By: acme, ID: 1, UUID: deviceUUID("u1"), Index: 1}}
	d, err := Decide(s, c, noon)
	require.NoError(t, err)
	require.IsType(t, new(LockCreated), d.Events[0], "its claim comes first")
	require.Equal(t, deviceUUID("u1"), d.Events[1].(*RequestRemembered).LockUUID)
	for _, e := range d.Events {
		Evolve(s, e)
	}
	d, err = Decide(s, c, noon)
	require.NoError(t, err)
	require.Equal(t, Decision{Reply: &Done{Version: 1, Replayed: true, EventVersion: 1}}, d)
}

// TestARepeatedRevocationWaits: an acknowledgement that comes too early would be a lie, whoever hears it.
func TestARepeatedRevocationWaits(t *testing.T) {
	t.Parallel()
	w, acme := newOnceWorld(t), Caller{OrgID: "acme"}
	apply(t, w.s, &ConnectDevice{Device: Device{Session: Session{Node: "n", ID: 1}, Deadline: true, Journal: true}})
	apply(t, w.s, &CreateTempKey{By: acme, UUID: name(1), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour)})
	apply(t, w.s, &OpenWithTempKey{TempKeyID: name(1), RequestID: "r", CommandID: "c", Lifetime: 5 * time.Second})
	revoke := &DeleteTempKey{By: acme, TempKeyID: name(1)}
	first, err := w.do("k", "a", acme, revoke, noon)
	require.NoError(t, err)
	require.Equal(t, []CommandID{"c"}, first.SafeAfter)
	again, err := w.do("k", "a", acme, revoke, noon.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, first.SafeAfter, again.SafeAfter)
	require.Equal(t, first.SafeAt, again.SafeAt)
	require.Empty(t, again.Events)
	again, err = w.do("k", "a", acme, revoke, noon.Add(time.Minute))
	require.NoError(t, err)
	require.Empty(t, again.SafeAfter)
}

func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	s := new(State)
	for i := range onceMax + 10 {
		s.Once.add(&remembered{Key: fmt.Sprint(i), Of: "super", At: noon})
	}
	require.Len(t, s.Once.list, onceMax)
	require.Len(t, s.Once.byID, onceMax)
	require.Nil(t, s.Once.byID[[2]string{"super", "9"}])
	require.NotNil(t, s.Once.byID[[2]string{"super", "10"}])
}
