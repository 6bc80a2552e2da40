package lock

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answer has the device answer the command about a key that the decision has sent.
func (w *onceWorld) answer(d Decision, done bool) CommandID {
	w.t.Helper()
	id := d.Effects[0].(*SendKey).CommandID
	a := &AnswerKey{CommandID: id, Done: done}
	if !done {
		a.Executed, a.Code = NotExecuted, "Busy"
	}
	apply(w.t, w.s, a)
	return id
}

// recalled is the reply as its caller sees it, who reads the event from the journal.
func (w *onceWorld) recalled(d Decision, events []Event) Reply {
	w.t.Helper()
	done := *d.Reply.(*Done)
	require.True(w.t, done.Replayed)
	require.Empty(w.t, d.Events)
	require.Empty(w.t, d.Effects)
	if done.EventVersion > 0 {
		done.Event = events[done.EventVersion-1]
	}
	return Recalled(&done)
}

// A change of a permanent key is answered as it ended, also when much has happened to the key since; a change that the device has
// refused may be asked for again.
func TestAChangeOfAKeyUnderAName(t *testing.T) {
	t.Parallel()
	w, acme := newOnceWorld(t), Caller{OrgID: "acme"}
	apply(t, w.s, &ConnectDevice{Device: Device{Session: Session{Node: "n", ID: 1}, Deadline: true, Journal: true, Keys: true}})
	card := Key{UUID: "card"}
	add := func(id CommandID) Command { return &AddKey{By: acme, Key: card, CommandID: id} }

	refused, err := w.do("n1", "a", acme, add("c1"), noon)
	require.NoError(t, err)
	onTheWay, err := w.do("n1", "a", acme, add("c2"), noon)
	require.NoError(t, err)
	require.Equal(t, CommandID("c1"), onTheWay.Reply.(*KeyResult).CommandID, "the repeat waits with the first")
	require.Empty(t, onTheWay.Events)
	w.answer(refused, false)

	added, err := w.do("n1", "a", acme, add("c3"), noon)
	require.NoError(t, err)
	require.Len(t, added.Effects, 1, "what was refused has not taken the name")
	w.answer(added, true)
	confirmed := w.s.Version
	event := &KeyAdded{Stamp: Stamp{At: noon, OrgID: "acme"}, Key: Key{UUID: "card", OnDevice: OnDevice}, CommandID: "c3"}
	events := make([]Event, confirmed)
	events[confirmed-1] = event
	want := &KeyResult{Version: confirmed, CommandID: "c3", Action: ActionAddKey, Key: event.Key, Event: event, Outcome: Confirmed}

	removed, err := w.do("n2", "b", acme, &RemoveKey{By: acme, KeyUUID: "card", CommandID: "c4"}, noon)
	require.NoError(t, err)
	w.answer(removed, true)
	again, err := w.do("n1", "a", acme, add("c5"), noon.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, want, w.recalled(again, events), "and the key is not added again")
	require.Empty(t, w.s.Keys)
	again, err = w.do("n2", "b", acme, &RemoveKey{By: acme, KeyUUID: "card", CommandID: "c6"}, noon.Add(time.Hour))
	require.NoError(t, err, "it is not said that there is no such key")
	require.Equal(t, &Done{Version: confirmed + 3, Replayed: true, EventVersion: confirmed + 3}, again.Reply)
	_, err = w.do("n2", "c", acme, &RemoveKey{By: acme, KeyUUID: "fob", CommandID: "c7"}, noon)
	require.Equal(t, Mismatch, err.(*Error).Kind)
}

// A key that was there already, and one of a list that no device knows.
func TestAKeyThatNeedsNoDeviceUnderAName(t *testing.T) {
	t.Parallel()
	w, acme := newOnceWorld(t), Caller{OrgID: "acme"}
	card := Key{UUID: "card"}
	var events []Event
	do := func(key string) Decision {
		d, err := w.do(key, "a", acme, &AddKey{By: acme, Key: card, CommandID: "c"}, noon)
		require.NoError(t, err)
		events = append(events, d.Events...)
		return d
	}
	events = append(events, new(LockCreated))
	first := do("n1").Reply.(*KeyResult)
	require.Equal(t, first, w.recalled(do("n1"), events))
	same := do("n2").Reply.(*KeyResult)
	require.Nil(t, same.Event)
	again := w.recalled(do("n2"), events).(*KeyResult)
	require.Equal(t, same.Version, again.Version)
	require.Nil(t, again.Event)
	require.Equal(t, same.Key.OnDevice, again.Key.OnDevice)
}

// Many temporary keys are answered as they were, each with its own outcome, and a change of them is not made twice.
func TestManyKeysUnderAName(t *testing.T) {
	t.Parallel()
	w, acme := newOnceWorld(t), Caller{OrgID: "acme"}
	key := CreateTempKey{UUID: name(1), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour)}
	bad := key
	bad.UUID, bad.ValidUntil = name(2), noon
	d, err := w.do("n1", "a", acme, &CreateTempKeys{By: acme, Keys: []CreateTempKey{key, bad}}, noon)
	require.NoError(t, err)
	first := d.Reply.(*TempKeysDone)
	events := append([]Event{new(LockCreated)}, d.Events...)
	key.UUID = name(3) // the server makes up another one for a key without
	d, err = w.do("n1", "a", acme, &CreateTempKeys{By: acme, Keys: []CreateTempKey{key, bad}}, noon)
	require.NoError(t, err)
	again := w.recalled(d, events).(*TempKeysDone)
	for i := range first.Items {
		require.Equal(t, first.Items[i].Event != nil, again.Items[i].Event != nil)
		again.Items[i].Event = first.Items[i].Event
		first.Items[i].TempKeyID = name(i + 1)
	}
	require.Equal(t, first, again)

	update := func(name_, hash string, uses int64) Decision {
		d, err := w.do(name_, hash, acme, &UpdateTempKeys{By: acme, Updates: []UpdateTempKey{{TempKeyID: name(1), Changes: Changes{MaxUses: &MaxUses{Limit: &uses}}}}}, noon)
		require.NoError(t, err)
		return d
	}
	update("n2", "b", 5)
	update("n3", "c", 6)
	require.Empty(t, update("n2", "b", 5).Events)
	require.EqualValues(t, 6, *w.s.TempKeys.find(name(1)).MaxUses, "what was changed since is not changed back")
}

// What hands a lock on is answered to whoever has done it, who does not see the lock any more; other requests of theirs are not.
func TestAHandOverIsAnsweredAgain(t *testing.T) {
	t.Parallel()
	acme, ann := Caller{OrgID: "acme"}, Caller{UserID: "ann"}
	for _, c := range []struct {
		by  Caller
		how Command
	}{
		{acme, &SetOrganization{By: acme, OrgID: "umbrella"}}, {ann, &SetOwner{By: ann, UserID: "bob"}}, {ann, &SetOwner{By: ann}},
	} {
		w := newOnceWorld(t)
		apply(t, w.s, &SetOwner{By: acme, UserID: "ann"})
		_, err := w.do("before", "b", c.by, &SetConfig{By: c.by, RelockMs: 5000}, noon)
		require.NoError(t, err)
		first, err := w.do("k", "a", c.by, c.how, noon)
		require.NoError(t, err)
		again, err := w.do("k", "a", c.by, c.how, noon.Add(time.Second))
		require.NoError(t, err)
		require.Equal(t, Decision{Reply: &Done{Version: first.Reply.(*Done).Version, Replayed: true, EventVersion: first.Reply.(*Done).Version}}, again)

		_, err = w.do("k", "c", c.by, c.how, noon)
		require.Equal(t, NotFound, err.(*Error).Kind, "of another request under that name they learn nothing")
		_, err = w.do("before", "b", c.by, &SetConfig{By: c.by, RelockMs: 5000}, noon)
		require.Equal(t, NotFound, err.(*Error).Kind)
	}
}

// An open and another request are two requests: a name that was used by mistake for both opens no door, and changes nothing.
func TestAnOpenAndAnotherRequestShareTheirNames(t *testing.T) {
	t.Parallel()
	w, acme := newOnceWorld(t), Caller{OrgID: "acme"}
	apply(t, w.s, &SetOwner{By: acme, UserID: "ann"})
	apply(t, w.s, &CreateTempKey{By: acme, UUID: name(1), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(48 * time.Hour)})
	online := func() {
		apply(t, w.s, &ConnectDevice{Device: Device{Session: Session{Node: "n", ID: 1}, Deadline: true, Journal: true}})
	}
	set := func(key string, by Caller, now time.Time) error {
		_, err := w.do(key, "a", by, &SetConfig{By: by, RelockMs: 5000}, now)
		return err
	}
	open := func(request RequestID, by Caller, now time.Time) error {
		online()
		command := CommandID(fmt.Sprint("c", w.s.Version))
		d, err := Decide(w.s, &OpenLock{By: by, RequestID: request, CommandID: command, Lifetime: 5 * time.Second}, now)
		for _, e := range d.Events {
			Evolve(w.s, e)
		}
		return err
	}
	require.NoError(t, set("x", acme, noon))
	require.Equal(t, ReasonRequestReused, open("x", acme, noon).(*Error).Reason)
	_, err := Decide(w.s, &OpenWithTempKey{By: acme, TempKeyID: name(1), RequestID: "x", CommandID: "c", Lifetime: 5 * time.Second}, noon)
	require.Equal(t, ReasonRequestReused, err.(*Error).Reason)
	require.NoError(t, open("y", acme, noon))
	require.Equal(t, ErrKeyReused, set("y", acme, noon))
	require.NoError(t, open("y", acme, noon), "the open itself is answered again")

	// Names belong to their callers, and for a day.
	ann := Caller{UserID: "ann"}
	require.NoError(t, open("x2", ann, noon))
	require.NoError(t, set("x2", acme, noon))
	require.NoError(t, set("y", ann, noon))
	_, err = Decide(w.s, &OpenWithTempKey{TempKeyID: name(1), RequestID: "x", CommandID: "c", Lifetime: 5 * time.Second}, noon)
	require.NoError(t, err, "a guest has no names")
	require.NoError(t, set("y", acme, noon.Add(24*time.Hour)))
	require.NoError(t, open("x", acme, noon.Add(25*time.Hour)))
}
