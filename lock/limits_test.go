package lock

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shell runs commands without a journal.
type shell struct {
	t   *testing.T
	s   *State
	now time.Time
	n   int
}

func newShell(t *testing.T) *shell {
	sh := &shell{t: t, s: new(State), now: noon}
	sh.must(&CreateLock{By: Caller{Super: true}, ID: 1, UUID: deviceUUID("u1"), Index: 1})
	sh.must(&CreateTempKey{By: Caller{Super: true}, UUID: name(1), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.AddDate(1, 0, 0)})
	return sh
}

func (sh *shell) do(c Command) (Decision, error) {
	d, err := Decide(sh.s, c, sh.now)
	for _, e := range d.Events {
		if Journaled(e) {
			e = stored(sh.t, e)
		}
		Evolve(sh.s, e)
	}
	return d, err
}

func (sh *shell) must(c Command) Decision {
	sh.t.Helper()
	d, err := sh.do(c)
	require.NoError(sh.t, err)
	return d
}

func (sh *shell) connect() {
	sh.n++
	sh.must(&ConnectDevice{Device: Device{Session: Session{Node: "n", ID: uint64(sh.n)}, Deadline: true, Journal: true}})
}

func (sh *shell) openKey() (Decision, error) {
	sh.n++
	return sh.do(&OpenWithTempKey{
		TempKeyID: name(1), RequestID: RequestID(fmt.Sprintf("r%d", sh.n)), CommandID: CommandID(fmt.Sprintf("c%d", sh.n)),
		Lifetime: 5 * time.Second, Hold: 10 * time.Second,
	})
}

func TestTooManyUnresolvedCommands(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	for range maxCommands {
		sh.connect()
		_, err := sh.openKey()
		require.NoError(t, err)
		sh.now = sh.now.Add(6 * time.Second)
		sh.must(new(Tick))
	}
	require.Len(t, sh.s.Commands, maxCommands)
	first := *sh.s.Commands[0].Requests[0]
	sh.connect()
	d, err := sh.openKey()
	require.NoError(t, err)
	given := d.Events[0].(*LockOpenFailed)
	require.Equal(t, first.CommandID, given.CommandID, "the oldest is given up")
	require.True(t, given.Final)
	require.False(t, given.Resolved)
	require.Len(t, sh.s.Commands, maxCommands)
	result, ok := sh.s.OpenResult(first.ID)
	require.True(t, ok)
	require.Equal(t, Unknown, result.Outcome)
	require.Equal(t, "given-up", result.Reason)
	require.False(t, result.UseReturned, "nobody knows whether it opened")
}

func TestTooManyCommandsOnTheirWay(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	sh.connect()
	for range maxCommands {
		_, err := sh.openKey()
		require.NoError(t, err)
		sh.connect() // so that the next one does not join
	}
	_, err := sh.openKey()
	require.ErrorContains(t, err, "Too many opens")
	require.Equal(t, Busy, err.(*Error).Kind)
	sh.now = sh.now.Add(6 * time.Second)
	sh.must(new(Tick))
	_, err = sh.openKey()
	require.NoError(t, err, "the ones without an answer make room")
}

func TestTooManyJoinedRequests(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	for range maxRequests {
		_, err := sh.openKey()
		require.NoError(t, err)
	}
	require.Len(t, sh.s.Commands, 1)
	_, err := sh.openKey()
	require.Error(t, err)
	require.Equal(t, Busy, err.(*Error).Kind)

	// Whatever ends them all at once must fit into one append, also with the longest names.
	for _, c := range []Command{new(Tick), &UpdateTempKey{
		By: Caller{Super: true}, TempKeyID: name(1), Changes: Changes{ValidFrom: ptr(noon.Add(time.Hour))},
	}} {
		sh.now = noon.Add(10 * time.Second)
		sh.s.OrgID = OrgID(strings.Repeat("o", maxText))
		d, err := Decide(sh.s, c, sh.now)
		require.NoError(t, err)
		require.Greater(t, len(d.Events), maxRequests)
		size := 0
		for _, e := range d.Events {
			_, data, err := MarshalEvent(e)
			require.NoError(t, err)
			size += len(data)
		}
		require.Less(t, size, 8<<20, "%T", c) // journal.MaxAppendBytes
	}
	sh.must(new(Tick))
	require.Zero(t, sh.s.TempKeys.find(name(1)).UsedCount)
}

func TestRequestLogForgets(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	sh.connect()
	open := func() RequestID {
		d, err := sh.openKey()
		require.NoError(t, err)
		r := d.Reply.(*OpenResult)
		sh.must(&AnswerOpen{CommandID: r.CommandID, Opened: true})
		return r.RequestID
	}
	first := open()
	for range 99 {
		open()
	}
	sh.now = noon.Add(requestsKeptFor)
	last := open()
	_, ok := sh.s.OpenResult(first)
	require.True(t, ok, "a request is remembered for a day")
	sh.now = sh.now.Add(time.Millisecond)
	open()
	_, ok = sh.s.OpenResult(first)
	require.False(t, ok)
	require.Equal(t, requestsKept, sh.s.Requests.len())
	_, ok = sh.s.OpenResult(last)
	require.True(t, ok)
	for range requestsMax {
		open()
	}
	require.Equal(t, requestsMax, sh.s.Requests.len())
	require.Less(t, cap(sh.s.Requests.ended.data)+sh.s.Requests.ended.dropped, 2*len(sh.s.Requests.ended.data), "what is forgotten leaves the memory")
	sh.now = sh.now.Add(2 * requestsKeptFor)
	open()
	require.Equal(t, requestsKept, sh.s.Requests.len())
	require.Less(t, cap(sh.s.Requests.ended.data)+sh.s.Requests.ended.dropped, 200*requestsKept, "also when nearly all of it is forgotten at once")
}

// TestRequestIDIsUsedAgain has a request forgotten by the log while its command is unresolved, and its ID used for
// another open: what becomes of the one must not show on the other.
func TestRequestIDIsUsedAgain(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	sh.connect()
	open := func(command string) {
		sh.must(&OpenWithTempKey{TempKeyID: name(1), RequestID: "again", CommandID: CommandID(command), Lifetime: 5 * time.Second})
	}
	open("old")
	sh.now = sh.now.Add(6 * time.Second)
	sh.must(new(Tick))
	sh.connect()
	sh.now = sh.now.Add(2 * requestsKeptFor)
	for range requestsKept {
		d, err := sh.openKey()
		require.NoError(t, err)
		sh.must(&AnswerOpen{CommandID: d.Reply.(*OpenResult).CommandID, Opened: true})
	}
	open("new")
	s, err := UnmarshalState([]byte(marshal(t, sh.s)))
	require.NoError(t, err)
	s.Device = sh.s.Device
	sh.s = s
	used := sh.s.TempKeys.find(name(1)).UsedCount
	sh.must(&AnswerStatus{Session: sh.s.Device.Session, Statuses: map[CommandID]CommandStatus{"old": CommandNotSeen}})
	result, ok := sh.s.OpenResult("again")
	require.True(t, ok)
	require.Equal(t, CommandID("new"), result.CommandID)
	require.Equal(t, Sent, result.Outcome)
	require.False(t, result.UseReturned)
	sh.must(&AnswerOpen{CommandID: "new", Executed: NotExecuted, Code: "Jammed"})
	require.Equal(t, used-2, sh.s.TempKeys.find(name(1)).UsedCount, "both came back")
}

func TestListsAreBounded(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	by := Caller{Super: true}
	for i := 2; i <= maxTempKeys; i++ {
		Evolve(sh.s, &TempKeyCreated{Key: TempKey{UUID: name(i)}})
	}
	for i := range maxKeys {
		Evolve(sh.s, &KeyAdded{Key: Key{UUID: fmt.Sprint(i)}})
	}
	for i := range maxResidents {
		Evolve(sh.s, &ResidentAdded{Resident: Resident{UserID: UserID(fmt.Sprint(i)), Name: "x"}})
	}
	for reason, c := range map[string]Command{
		"too-many-temp-keys": &CreateTempKey{By: by, UUID: name(0), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour)},
		"too-many-keys":      &AddKey{By: by, Key: Key{UUID: "new"}},
		"too-many-residents": &AddResident{By: by, Resident: Resident{UserID: "new", Name: "x"}},
		"whitelist-too-long": &UpdateTempKey{By: by, TempKeyID: name(1), Changes: Changes{AllowedUserIDs: ptr(make([]UserID, maxUsers+1))}},
		"reason-too-long":    &OpenLock{By: by, RequestID: "r", CommandID: "c", Reason: strings.Repeat("ä", maxReason+1), Lifetime: time.Second},
		"description-too-long": &CreateTempKey{
			By: by, UUID: name(0), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour), Description: strings.Repeat("ä", maxDescription+1),
		},
		"user-id-invalid":     &SetOwner{By: by, UserID: UserID(strings.Repeat("a", maxText+1))},
		"caller-invalid":      &SetOwner{By: Caller{OrgID: OrgID(strings.Repeat("a", maxText+1))}, UserID: "ann"},
		"request-id-invalid":  &OpenLock{By: by, RequestID: RequestID(strings.Repeat("r", maxToken+1)), CommandID: "c", Lifetime: time.Second},
		"secret-hash-invalid": &RotateDeviceSecret{By: by, Hash: make([]byte, 31)},
	} {
		_, err := sh.do(c)
		require.Error(t, err, reason)
		require.Equal(t, reason, err.(*Error).Reason)
	}
	// A resident who is on the list can be changed even when it is full.
	sh.must(&AddResident{By: by, Resident: Resident{UserID: "1", Name: "y"}})

	sh.connect()
	_, err := sh.do(&ReportEvents{Session: sh.s.Device.Session, Items: make([]DeviceEvent, maxReported+1)})
	require.Error(t, err)
	sh.must(&ReportEvents{Session: sh.s.Device.Session, Items: []DeviceEvent{{Seq: 1, Type: "bolt", Value: strings.Repeat("ä", maxDeviceText)}}})
	require.Len(t, sh.s.Reported.Bolt, maxDeviceText)
}

// TestDeadlinesKeepTheMonotonicClock: a deadline must hold when the wall clock is set.
func TestDeadlinesKeepTheMonotonicClock(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	sh.connect()
	sh.now = time.Now()
	require.Contains(t, sh.now.String(), "m=")
	sh.must(&CreateTempKey{By: Caller{Super: true}, UUID: name(2), AccessMode: Public, ValidFrom: sh.now, ValidUntil: sh.now.Add(time.Hour)})
	d, err := Decide(sh.s, &OpenWithTempKey{TempKeyID: name(2), RequestID: "r", CommandID: "c", Lifetime: time.Second}, sh.now)
	require.NoError(t, err)
	notAfter := d.Effects[0].(*SendOpen).NotAfter
	require.Contains(t, notAfter.String(), "m=")
	require.Zero(t, notAfter.Nanosecond()%int(time.Millisecond))
	require.WithinDuration(t, sh.now.Add(time.Second), notAfter, time.Millisecond)
	for _, e := range d.Events {
		Evolve(sh.s, e)
	}
	due, ok := NextDeadline(sh.s)
	require.True(t, ok)
	require.Contains(t, due.String(), "m=")
}

// Keys from before control characters were refused in descriptions can still be changed.
func TestADescriptionFromBefore(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	by := Caller{Super: true}
	Evolve(sh.s, &TempKeyCreated{Key: TempKey{UUID: name(100), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour), Description: "a\x07b"}})
	sh.must(&UpdateTempKey{By: by, TempKeyID: name(100), Changes: Changes{ValidUntil: ptr(noon.Add(2 * time.Hour))}})
	_, err := sh.do(&UpdateTempKey{By: by, TempKeyID: name(100), Changes: Changes{Description: ptr("a\x07b")}})
	require.Equal(t, "description-invalid", err.(*Error).Reason)
	sh.must(&UpdateTempKey{By: by, TempKeyID: name(100), Changes: Changes{Description: ptr("a\r\n\tb")}})
}

func TestTextThatTurnsItselfRound(t *testing.T) {
	t.Parallel()
	for text, turns := range map[string]bool{
		"": false, "Haustür": false, "باب الشقة (3)\u200f": false, "\u200eA\u061c": false, "👩\u200d👦": false,
		"a\u202eb": true, "\u202a": true, "x\u2066": true, "\u2069": true,
	} {
		require.Equal(t, turns, turnsText(text), "%q", text)
		require.Equal(t, turns, CheckDescription(text) != nil, "%q", text)
		require.Equal(t, turns, HasUnseen(text), "%q", text)
		for _, by := range []Caller{{OrgID: OrgID(text)}, {UserID: UserID(text)}} {
			require.Equal(t, turns, by.CheckNew() != nil, "%q", text)
		}
	}
}

func TestWhomALinkOpensFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode   AccessMode
		door   *Door
		anyone bool
	}{
		{Public, nil, true}, {Public, &Door{Link: true}, true}, {Public, &Door{}, false}, {UserWhitelist, nil, false},
	} {
		for _, status := range []Status{StatusValid, StatusNotYetValid, StatusUsedUp, StatusExpired} {
			v := TempKeyView{TempKey: TempKey{AccessMode: c.mode, Door: c.door}, Status: status}
			require.Equal(t, c.anyone, v.ForAnyone())
			require.Equal(t, c.anyone && status == StatusValid, v.OpensForAnyone())
		}
	}
}

// What callers say is bounded for all keys of a lock together: its list goes through a server's memory as a whole, and from
// node to node as one message.
func TestTextIsBounded(t *testing.T) {
	t.Parallel()
	sh := newShell(t)
	by := Caller{Super: true}
	long := strings.Repeat("\U0001F512", maxDescription)
	users := make([]UserID, maxUsers)
	for i := range users {
		users[i] = UserID(strings.Repeat("u", maxText-4) + fmt.Sprintf("%04d", i))
	}
	create := func(i int) *CreateTempKey {
		return &CreateTempKey{By: by, UUID: name(100 + i), AccessMode: Public, AllowedUserIDs: users, ValidFrom: noon, ValidUntil: noon.Add(time.Hour), Description: long}
	}
	n := 0
	var err error
	for ; err == nil; n++ {
		_, err = sh.do(create(n))
	}
	require.Equal(t, "temp-keys-too-large", err.(*Error).Reason)
	require.InDelta(t, maxTempKeyText/(maxUsers*maxText), n, 1)
	full := sh.s.TempKeys.text

	_, err = sh.do(&UpdateTempKey{By: by, TempKeyID: name(1), Changes: Changes{AllowedUserIDs: &users}})
	require.Equal(t, "temp-keys-too-large", err.(*Error).Reason)
	sh.must(&UpdateTempKey{By: by, TempKeyID: name(100), Changes: Changes{Description: ptr("short")}})
	require.Equal(t, full-len(long)+len("short"), sh.s.TempKeys.text)
	data, err := json.Marshal(sh.s.TempKeys)
	require.NoError(t, err)
	var list []*TempKey
	require.NoError(t, json.Unmarshal(data, &list))
	var again tempKeys
	require.NoError(t, again.load(list))
	require.Equal(t, sh.s.TempKeys.text, again.text)
	require.Less(t, len(data), 2*maxTempKeyText)
	sh.must(&DeleteTempKey{By: by, TempKeyID: name(100)})
	sh.must(create(n))

	// Neither do the keys of one call come to more together.
	items := func(c Command) (refused []int) {
		t.Helper()
		for i, item := range sh.must(c).Reply.(*TempKeysDone).Items {
			if item.Err != nil {
				require.Equal(t, "temp-keys-too-large", item.Err.Reason)
				refused = append(refused, i)
			}
		}
		require.LessOrEqual(t, sh.s.TempKeys.text, maxTempKeyText)
		return refused
	}
	for i := range 3 {
		sh.must(&DeleteTempKey{By: by, TempKeyID: name(101 + i)})
	}
	many, small := new(CreateTempKeys), create(n+5)
	many.By, small.AllowedUserIDs, small.Description = by, nil, ""
	for i := range 5 {
		many.Keys = append(many.Keys, *create(n + 1 + i))
	}
	many.Keys = append(many.Keys, *small)
	many.Keys[5].UUID = name(200)
	require.Equal(t, []int{3, 4}, items(many), "what is small still fits")
	for i := range 2 {
		sh.must(&UpdateTempKey{By: by, TempKeyID: name(104 + i), Changes: Changes{AllowedUserIDs: new([]UserID)}})
	}
	updates := new(UpdateTempKeys)
	updates.By = by
	for _, id := range []TempKeyID{name(104), name(105), name(200)} {
		updates.Updates = append(updates.Updates, UpdateTempKey{TempKeyID: id, Changes: Changes{AllowedUserIDs: &users}})
	}
	require.Equal(t, []int{2}, items(updates))

	for i := range maxKeyText / (2 * maxText) {
		Evolve(sh.s, &KeyAdded{Key: Key{UUID: strings.Repeat("k", maxText-4) + fmt.Sprintf("%04d", i), UserID: users[0]}})
	}
	_, err = sh.do(&AddKey{By: by, Key: Key{UUID: strings.Repeat("k", maxText), UserID: users[0]}})
	require.Equal(t, "keys-too-large", err.(*Error).Reason)
}
