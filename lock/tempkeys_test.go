package lock

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestManyKeysAtOnceAreAsOneByOne: a command for many keys does what the commands for each of them would do, one after the other.
func TestManyKeysAtOnceAreAsOneByOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		acme := Caller{OrgID: "acme"}
		prepare := func() *State {
			s := new(State)
			Evolve(s, &LockCreated{Stamp: Stamp{At: noon, LockUUID: deviceUUID("u1"), OrgID: "acme"}, LockID: 1, Index: 1})
			apply(t, s, &ConnectDevice{Device: Device{Session: Session{Node: "n", ID: 1}, Deadline: true, Journal: true}})
			return s
		}
		one, many := prepare(), prepare()
		both := func(c Command) {
			apply(t, one, c)
			apply(t, many, c)
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "keys") {
			both(&CreateTempKey{By: acme, UUID: name(i), AccessMode: Public, ValidFrom: noon.Add(-time.Hour), ValidUntil: noon.Add(time.Hour)})
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "opens") {
			if rapid.Bool().Draw(t, "cut") {
				both(&DisconnectDevice{Session: one.Device.Session})
			}
			both(&OpenWithTempKey{
				TempKeyID: name(rapid.IntRange(0, 3).Draw(t, "opened")), RequestID: RequestID(fmt.Sprint("r", i)), CommandID: CommandID(fmt.Sprint("c", i)),
				Lifetime: 5 * time.Second, Hold: 10 * time.Second,
			})
		}

		ids := rapid.SliceOfNDistinct(rapid.IntRange(0, 7), 1, 8, rapid.ID).Draw(t, "named")
		hours := rapid.SampledFrom([]time.Duration{-2, 1, 2})
		creates, updates := &CreateTempKeys{By: acme}, &UpdateTempKeys{By: acme}
		var singles []Command
		creating := rapid.Bool().Draw(t, "create")
		for _, id := range ids {
			until := noon.Add(hours.Draw(t, "hours") * time.Hour)
			if creating {
				c := CreateTempKey{By: acme, UUID: name(id), AccessMode: Public, ValidFrom: noon.Add(-time.Hour), ValidUntil: until}
				creates.Keys, singles = append(creates.Keys, c), append(singles, &c)
			} else {
				c := UpdateTempKey{By: acme, TempKeyID: name(id), Changes: Changes{ValidUntil: &until}}
				if rapid.Bool().Draw(t, "only ann") {
					c.Changes = Changes{AccessMode: ptr(UserWhitelist), AllowedUserIDs: &[]UserID{"ann"}}
				}
				updates.Updates, singles = append(updates.Updates, c), append(singles, &c)
			}
		}
		var command Command = creates
		if !creating {
			command = updates
		}

		before := marshal(t, many)
		d, err := Decide(many, command, noon)
		require.NoError(t, err)
		require.Equal(t, before, marshal(t, many), "Decide changed the state")
		items := d.Reply.(*TempKeysDone).Items
		require.Len(t, items, len(singles))
		var want Decision
		for i, c := range singles {
			single, err := Decide(one, c, noon)
			for _, e := range single.Events {
				Evolve(one, e)
			}
			want.Events, want.SafeAfter = append(want.Events, single.Events...), append(want.SafeAfter, single.SafeAfter...)
			if single.SafeAt.After(want.SafeAt) {
				want.SafeAt = single.SafeAt
			}
			if err != nil {
				require.Equal(t, TempKeyDone{Err: err.(*Error)}, items[i])
				continue
			}
			done := single.Reply.(*Done)
			require.Equal(t, TempKeyDone{Version: done.Version, Event: done.Event}, items[i])
		}
		want.Reply = d.Reply
		require.Equal(t, want, d)
		for _, e := range d.Events {
			Evolve(many, e)
		}
		require.Equal(t, marshal(t, one), marshal(t, many))
	})
}

// apply executes a command; a rejection changes nothing.
func apply(t require.TestingT, s *State, c Command) {
	d, err := Decide(s, c, noon)
	if err != nil {
		require.IsType(t, new(Error), err)
	}
	for _, e := range d.Events {
		Evolve(s, e)
	}
}

// A program sends the UUID of zeros that never set its own, and anybody can guess it. What was named so before is as good as it was.
func TestNothingNewIsNamedByAUUIDOfNone(t *testing.T) {
	t.Parallel()
	super := Caller{Super: true}
	for _, none := range []string{nilUUID, maxUUID, strings.ToUpper(maxUUID)} {
		_, err := Decide(new(State), &CreateLock{By: super, ID: 1, UUID: UUID(none), Index: 1}, noon)
		require.Equal(t, "uuid", err.(*Error).Field)
		s := new(State)
		Evolve(s, &LockCreated{Stamp: Stamp{At: noon, LockUUID: deviceUUID("u1")}, LockID: 1, Index: 1})
		_, err = Decide(s, &ChangeLockUUID{By: super, NewUUID: UUID(none)}, noon)
		require.Equal(t, "newUuid", err.(*Error).Field)
		c := &CreateTempKey{By: super, UUID: TempKeyID(none), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour)}
		_, err = Decide(s, c, noon)
		require.Equal(t, "temp-key-uuid-invalid", err.(*Error).Reason)

		stored := TempKey{UUID: TempKeyID(strings.ToLower(none)), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour), CreatedBy: "super", CreatedAt: noon}
		Evolve(s, &TempKeyCreated{Stamp: Stamp{At: noon}, Key: stored})
		d, err := Decide(s, c, noon)
		require.NoError(t, err)
		require.Empty(t, d.Events, "it is there")
		_, err = Decide(s, &DeleteTempKey{By: super, TempKeyID: stored.UUID}, noon)
		require.NoError(t, err)

		s = new(State)
		Evolve(s, &LockCreated{Stamp: Stamp{At: noon, LockUUID: UUID(strings.ToLower(none)), OrgID: "acme"}, LockID: 1, Index: 1})
		d, err = Decide(s, &CreateLock{By: Caller{OrgID: "acme"}, ID: 1, UUID: UUID(none), Index: 1}, noon)
		require.NoError(t, err)
		require.Empty(t, d.Events, "it is there")
	}
}

// Names that turn text were good once. Nothing new bears one, and what does is seen and taken away by those who could.
func TestWhatBearsANameFromBeforeCanBeTakenAway(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{"a\u202eb", "a\u2066", "a\u2028b"} {
		org, user := Caller{OrgID: OrgID(odd)}, Caller{UserID: UserID(odd)}
		_, err := Decide(new(State), &CreateLock{By: org, ID: 1, UUID: deviceUUID("u1"), Index: 1}, noon)
		require.Equal(t, "caller-invalid", err.(*Error).Reason)
		s := new(State)
		Evolve(s, &LockCreated{Stamp: Stamp{At: noon, LockUUID: deviceUUID("u1"), OrgID: org.OrgID}, LockID: 1, Index: 1, OwnerID: user.UserID})
		stored := TempKey{UUID: name(1), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour), CreatedBy: odd, CreatedAt: noon}
		Evolve(s, &TempKeyCreated{Stamp: Stamp{At: noon}, Key: stored})

		for _, by := range []Caller{org, user, {Super: true, OrgID: org.OrgID, UserID: user.UserID}} {
			for _, c := range []Command{
				&GetLock{By: by}, &ListTempKeys{By: by}, &DeleteTempKey{By: by, TempKeyID: stored.UUID},
				&CreateTempKey{By: by, UUID: stored.UUID, AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour)}, // is there
				&SetOwner{By: by},
			} {
				_, err := Decide(s, c, noon)
				require.NoError(t, err, "%T", c)
			}
			_, err := Decide(s, &CreateTempKey{By: by, UUID: name(2), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour)}, noon)
			require.Equal(t, "caller-invalid", err.(*Error).Reason)
		}
		for c, reason := range map[*SetOrganization]string{
			{By: org, OrgID: org.OrgID}: "", {By: org, OrgID: "acme"}: "", {By: org, OrgID: org.OrgID + "c\u202e"}: "org-id-invalid",
		} {
			if _, err := Decide(s, c, noon); reason == "" {
				require.NoError(t, err)
			} else {
				require.Equal(t, reason, err.(*Error).Reason)
			}
		}
	}
}

func TestManyKeysAtOnceHaveBounds(t *testing.T) {
	t.Parallel()
	s := new(State)
	Evolve(s, &LockCreated{Stamp: Stamp{At: noon, LockUUID: deviceUUID("u1")}, LockID: 1, Index: 1})
	super := Caller{Super: true}
	key := CreateTempKey{UUID: name(1), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour)}
	for _, n := range []int{0, MaxTempKeysAtOnce + 1} {
		_, err := Decide(s, &CreateTempKeys{By: super, Keys: make([]CreateTempKey, n)}, noon)
		require.ErrorContains(t, err, "1 to 500")
	}
	d, err := Decide(s, &CreateTempKeys{By: super, Keys: []CreateTempKey{key, key, {UUID: "x"}}}, noon)
	require.NoError(t, err)
	require.Len(t, d.Events, 1)
	items := d.Reply.(*TempKeysDone).Items
	require.Nil(t, items[0].Err)
	require.Equal(t, "super", items[0].Event.(*TempKeyCreated).Key.CreatedBy, "the caller of the command counts")
	require.Equal(t, "temp-key-twice", items[1].Err.Reason)
	require.Equal(t, "temp-key-uuid-invalid", items[2].Err.Reason)

	for i := range maxTempKeys - 1 {
		k := TempKey{UUID: name(i + 10), AccessMode: Public}
		s.TempKeys.add(&k)
	}
	other := key
	other.UUID = name(2)
	d, err = Decide(s, &CreateTempKeys{By: super, Keys: []CreateTempKey{key, other}}, noon)
	require.NoError(t, err)
	items = d.Reply.(*TempKeysDone).Items
	require.Nil(t, items[0].Err)
	require.Equal(t, "too-many-temp-keys", items[1].Err.Reason, "the keys of the same command count")
}
