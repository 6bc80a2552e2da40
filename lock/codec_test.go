package lock

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// examples has one of each journaled event, with every field set.
func examples() []Event {
	stamp := Stamp{At: noon, LockUUID: deviceUUID("u1"), OrgID: "acme", By: `ann "the <owner>" & co ä` + "\u2028\n\x01", ByUser: true, Via: "lk_abcdef", From: "203.0.113.7"}
	until, limit := noon.Add(time.Hour), int64(3)
	key := TempKey{
		UUID: name(1), AccessMode: UserWhitelist, AllowedUserIDs: []UserID{"ann", "bob"}, ValidFrom: noon, ValidUntil: until,
		MaxUses: &limit, UsedCount: 2, Description: "d", CreatedBy: "ann", CreatedAt: noon, GraceBeforeSeconds: 60, GraceAfterSeconds: 61,
		Door: &Door{Key: name(2), Number: 3, Link: true, PIN: hash("p")},
		Schedule: &Schedule{
			TimeZone: "Europe/Berlin", Rules: []Rule{{Days: everyDay, Hours: Hours{From: 0, Until: endOfDay}}},
			Except: []Date{5}, Extra: []Extra{{Date: lastDate, Hours: Hours{From: 61, Until: 60}}},
		},
	}
	session := Session{Node: "n", ID: 7}
	two := OpenFor{RequestIDs: []RequestID{"r1", "r<2>"}, TempKeyIDs: []TempKeyID{name(1), name(2)}}
	order := func(id CommandID) KeyOrder {
		return KeyOrder{CommandID: id, Key: Key{UUID: "fob", IndexNumber: &limit}, Job: "j1", Deadline: until, Session: session}
	}
	return []Event{
		&LockCreated{Stamp: stamp, LockID: 5, Index: 1, SerialNumber: "sn", VendorName: "v", OwnerID: "ann", Keys: []Key{{UUID: "card", IndexNumber: &limit, UserID: "ann"}, {UUID: "fob"}}},
		&OwnerSet{Stamp: stamp, UserID: "bob"},
		&RequestRemembered{Stamp: stamp, Key: "keys", Of: "super", Hash: hash("b"), Version: 3, Event: 3, CommandID: "c4", OnDevice: MaybeOnDevice, Items: []RememberedItem{
			{TempKeyID: name(1), Version: 2, Changed: true}, {TempKeyID: name(2), Err: noTempKey()},
		}},
		&OrganizationSet{Stamp: stamp, NewOrgID: "umbrella", OldOrgID: "acme"},
		&KeyAdded{Stamp: stamp, Key: Key{UUID: "card", IndexNumber: &limit, UserID: "ann", OnDevice: OnDevice}, CommandID: "c2", Job: "j1"},
		&KeyRemoved{Stamp: stamp, Key: Key{UUID: "card", IndexNumber: &limit}, CommandID: "c3"},
		&BulkAddStarted{Stamp: stamp, Job: "j1", Keys: []Key{{UUID: "card", IndexNumber: &limit}, {UUID: "fob"}}},
		&KeyChangeRequested{Stamp: stamp, Action: ActionAddKey, KeyOrder: order("c2")},
		&KeyWriteRequested{Stamp: stamp, KeyOrder: order("c4")},
		&KeyWritten{Stamp: stamp, Key: Key{UUID: "fob", OnDevice: OnDevice}, CommandID: "c5"},
		&KeyChangeFailed{
			Stamp: stamp, CommandID: "c6", Action: ActionRemoveKey, Key: Key{UUID: "card"}, Job: "j1", Outcome: Unknown, Reason: "no-answer",
			Message: "m", Final: true,
		},
		&BulkKeySettled{Stamp: stamp, Job: "j1", Key: Key{UUID: "card"}, Status: BulkFailed, Reason: "key-exists"},
		&BulkAddEnded{Stamp: stamp, Job: "j2", Reason: "device-offline"},
		&ConfigSet{Stamp: stamp, Config: Config{Number: 4, RelockMs: 5000}},
		&ConfigApplied{Stamp: stamp, Number: 4},
		&ResidentAdded{Stamp: stamp, Resident: Resident{UserID: "ann", Name: "Ann", Email: "ann@example.org", Phone: "+4930123"}},
		&ResidentRemoved{Stamp: stamp, Resident: Resident{UserID: "ann", Name: "Ann", Email: "ann@example.org"}},
		&LockUuidChanged{Stamp: stamp, NewUUID: deviceUUID("u1"), PreviousUUID: deviceUUID("u2")},
		&DeviceSecretRotated{Stamp: stamp, Hash: hash("a"), GraceUntil: until},
		&TempKeyCreated{Stamp: stamp, Key: key},
		&TempKeyUpdated{Stamp: stamp, TempKeyID: name(1), Changes: Changes{
			ValidFrom: &noon, ValidUntil: &until, MaxUses: &MaxUses{Limit: &limit}, AllowedUserIDs: &[]UserID{"ann"}, AccessMode: ptr(Public),
			Description: ptr(""), Schedule: &ScheduleChange{}, GraceBeforeSeconds: ptr(int64(0)), GraceAfterSeconds: &limit,
		}},
		&TempKeyDeleted{Stamp: stamp, TempKeyID: name(1)},
		&TempKeyUsed{Stamp: stamp, TempKeyID: name(1), UserID: "ann", UsedCount: 3, RequestID: "r<1>"},
		&TempKeyUseReturned{Stamp: stamp, TempKeyID: name(1), UsedCount: 2, RequestID: "r1", CommandID: "c1"},
		&LockOpenRequested{
			Stamp: stamp, RequestID: "r1", CommandID: "c1", TempKeyID: name(1), UserID: "ann", Reason: `"why"`, Joined: true, Held: true, PIN: true,
			Deadline: until, Session: session, DeadlineEnforced: true, Forgets: 7,
		},
		&LockOpenSent{Stamp: stamp, CommandID: "c1", Deadline: until, Session: session, DeadlineEnforced: true, OpenFor: two},
		&LockOpened{Stamp: stamp, CommandID: "c1", Bolt: "unlocked", DeadlineEnforced: true, Resolved: true, OpenFor: two},
		&LockOpenFailed{
			Stamp: stamp, CommandID: "c1", RequestID: "r1", Outcome: Unknown, Reason: "jammed", Message: "m", DeadlineEnforced: true,
			Resolved: true, Final: true, OpenFor: two,
		},
		&DeviceReported{Stamp: stamp, Items: []DeviceEvent{{Seq: 1, Type: "door", Value: "open", Mono: 5}}},
		&PINWasWrong{Stamp: stamp, Wrong: 5, LockedUntil: until},
	}
}

// plain has one of each journaled event, with no more than it must have.
func plain() []Event {
	var all []Event
	for _, create := range eventTypes {
		all = append(all, create())
	}
	return all
}

func TestEventsComeBackFromTheJournal(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range append(examples(), plain()...) {
		typ, data, err := MarshalEvent(e)
		require.NoError(t, err)
		back, err := UnmarshalEvent(typ, data)
		require.NoError(t, err)
		require.Equal(t, e, back)
		require.True(t, Journaled(e))
		seen[typ] = true
	}
	require.Len(t, seen, len(eventTypes))
	for typ, create := range eventTypes {
		require.Equal(t, typ, create().EventType())
		require.Equal(t, typ, reflect.TypeOf(create()).Elem().Name())
	}
	for _, e := range []Event{new(DeviceConnected), new(DeviceDisconnected)} {
		require.False(t, Journaled(e))
	}
}

// TestHandWrittenJSON holds what is written by hand against encoding/json, with all fields, none, and text of any sort.
func TestHandWrittenJSON(t *testing.T) {
	t.Parallel()
	events := append(examples(), plain()...)
	for _, text := range []string{`"`, `\`, "\n", "\x00", "\x7f", "ä", "日本", "\u2028", "<&>", "a b", "\xff"} {
		stamp := Stamp{At: noon.Add(time.Nanosecond).In(time.FixedZone("", -3600)), LockUUID: UUID(text), OrgID: OrgID(text), By: text}
		events = append(events,
			&TempKeyUsed{Stamp: stamp, TempKeyID: TempKeyID(text), UserID: UserID(text), UsedCount: -1, RequestID: RequestID(text)},
			&LockOpenRequested{Stamp: stamp, RequestID: RequestID(text), CommandID: CommandID(text), Reason: text, Session: Session{Node: text}},
			&LockOpened{
				Stamp: stamp, CommandID: CommandID(text), Bolt: text, OpenFor: OpenFor{[]RequestID{RequestID(text), "r"}, []TempKeyID{TempKeyID(text)}},
			},
		)
	}
	written := 0
	for _, e := range events {
		if _, ok := e.(appender); !ok {
			continue
		}
		written++
		typ, data, err := MarshalEvent(e)
		require.NoError(t, err)
		reference, err := json.Marshal(e)
		require.NoError(t, err)
		require.JSONEq(t, string(reference), string(data))
		got, err := UnmarshalEvent(typ, data)
		require.NoError(t, err)
		want, err := UnmarshalEvent(typ, reference)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, 3*2+3*11, written)

	late := time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, e := range []Event{
		&TempKeyUsed{Stamp: Stamp{At: late}}, &LockOpenRequested{Stamp: Stamp{At: late}}, &LockOpenRequested{Deadline: late}, &LockOpened{Stamp: Stamp{At: late}},
	} {
		_, _, err := MarshalEvent(e)
		require.Error(t, err, "what encoding/json refuses is refused")
	}
}

// TestHandWrittenRequests does the same for the requests of a snapshot, and for instants of any sort.
func TestHandWrittenRequests(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "plain", `"`, `\`, "\x00", "\u2028", "<&>", "\xff"}))
	unit := rapid.SampledFrom([]time.Duration{1, time.Millisecond, 10 * time.Millisecond, time.Second})
	zone := rapid.SampledFrom([]*time.Location{time.UTC, time.UTC, time.FixedZone("", -3600), time.Local})
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		at := time.Unix(rapid.Int64Range(-62135596800, 253402300800).Draw(t, "seconds"), rapid.Int64Range(0, 1e9-1).Draw(t, "nanoseconds"))
		return at.Truncate(unit.Draw(t, "unit")).In(zone.Draw(t, "zone"))
	})
	rapid.Check(t, func(t *rapid.T) {
		flags := rapid.Byte().Draw(t, "flags")
		r := &request{
			ID: RequestID(text.Draw(t, "ID")), CommandID: CommandID(text.Draw(t, "CommandID")), TempKeyID: TempKeyID(text.Draw(t, "TempKeyID")),
			By: text.Draw(t, "By"), OrgID: OrgID(text.Draw(t, "OrgID")), UserID: UserID(text.Draw(t, "UserID")), Why: text.Draw(t, "Why"),
			At: instant.Draw(t, "At"), Deadline: instant.Draw(t, "Deadline"), Version: rapid.Uint64().Draw(t, "Version"),
			Outcome: Outcome(text.Draw(t, "Outcome")), Reason: text.Draw(t, "Reason"), Message: text.Draw(t, "Message"),
			Offline: flags&1 != 0, Joined: flags&2 != 0, DeadlineEnforced: flags&4 != 0, UseReturned: flags&8 != 0, KeyDeleted: flags&16 != 0,
		}
		want, failed := json.Marshal(r)
		got, err := r.appendJSON(nil)
		if failed != nil {
			require.Error(t, err, "what encoding/json refuses is refused")
			return
		}
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got))
	})
}

// TestExamplesAreComplete keeps examples honest: a field that is not set there is not tested anywhere here.
func TestExamplesAreComplete(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		v := reflect.ValueOf(e).Elem()
		for i := range v.NumField() {
			require.False(t, v.Field(i).IsZero(), "%s.%s", e.EventType(), v.Type().Field(i).Name)
		}
	}
}

func TestUnknownEventsAreRefused(t *testing.T) {
	t.Parallel()
	_, err := UnmarshalEvent("LockPainted", []byte(`{}`))
	require.ErrorContains(t, err, "newer version")
	_, err = UnmarshalEvent("LockOpened", []byte(`{"at":1}`))
	require.Error(t, err)
	_, err = UnmarshalEvent("DeviceConnected", []byte(`{}`))
	require.Error(t, err, "a live session is never read from the journal")
}

func TestBrokenSnapshotsAreRefused(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		``, `[]`, `{"commands":[null]}`, `{"commands":[{"id":"c","requests":[null]}]}`, `{"tempKeys":[null]}`, `{"requests":[null]}`, `{"id":"5"}`,
	} {
		_, err := UnmarshalState([]byte(data))
		require.Error(t, err, data)
	}
	for _, data := range []string{`{}`, `null`, `{"tempKeys":null,"requests":null}`} {
		s, err := UnmarshalState([]byte(data))
		require.NoError(t, err, data)
		require.JSONEq(t, marshal(t, new(State)), marshal(t, s))
	}
}
