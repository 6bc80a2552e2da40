package lock

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEventsSayWhoAndFromWhere(t *testing.T) {
	t.Parallel()
	by := Caller{OrgID: "acme", UserID: "ann", Key: "lk_abcdef", Addr: "203.0.113.7"}
	s := new(State)
	d, err := Decide(s, &CreateLock{By: by, ID: 5, UUID: deviceUUID("u1"), Index: 1}, noon)
	require.NoError(t, err)
	stamp := Stamp{At: noon, LockUUID: deviceUUID("u1"), OrgID: "acme", By: "ann", ByUser: true, Via: "lk_abcdef", From: "203.0.113.7"}
	require.Equal(t, stamp, d.Events[0].(*LockCreated).Stamp)
	Evolve(s, d.Events[0])
	d, err = Decide(s, &CreateTempKey{By: by, UUID: name(1), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour)}, noon)
	require.NoError(t, err)
	require.Equal(t, stamp, d.Events[0].(*TempKeyCreated).Stamp)
	Evolve(s, d.Events[0])
	d, err = Decide(s, &OpenWithTempKey{TempKeyID: name(1), RequestID: "r", CommandID: "c", Lifetime: time.Second, Hold: time.Minute}, noon)
	require.NoError(t, err)
	require.Equal(t, Stamp{At: noon, LockUUID: deviceUUID("u1"), OrgID: "acme", By: "guest"}, d.Events[0].(*TempKeyUsed).Stamp)
}

// A user may be called like an organisation, or like the operator. Nobody must be taken for another.
func TestNamesDoNotMixUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		by   Caller
		want string
	}{
		{Caller{Super: true}, "super"},
		{Caller{}, "guest"},
		{Caller{OrgID: "acme", Key: "lk_abcdef"}, "organization"},
		{Caller{OrgID: "super", Key: "lk_abcdef"}, "organization"},
		{Caller{OrgID: "guest", Key: "lk_abcdef"}, "organization"},
		{Caller{UserID: "ann"}, "user"},
		{Caller{UserID: "super"}, "user"},
		{Caller{UserID: "acme", OrgID: "acme", Key: "lk_abcdef"}, "user"},
		{Caller{UserID: "guest", Super: true}, "user"},
	} {
		stamp := new(State).stampBy(c.by, noon)
		require.Equal(t, c.want, stamp.ByType(), "%+v", c.by)
	}
	old := Stamp{By: "ann"}
	require.Empty(t, old.ByType(), "an older record does not say")
}

func TestTheOriginIsForTheOrganisationOnly(t *testing.T) {
	t.Parallel()
	stamp := Stamp{OrgID: "acme", ByUser: true, Via: "lk_abcdef", From: "203.0.113.7"}
	key := func(of string) Stamp { return Stamp{OrgID: "acme", By: of, Via: "lk_abcdef", From: "203.0.113.7"} }
	for _, c := range []struct {
		event Event
		org   OrgID
		told  bool
	}{
		{&OwnerSet{Stamp: stamp}, "acme", true},
		{&OwnerSet{Stamp: stamp}, "umbrella", false},
		{&OwnerSet{Stamp: stamp}, "", false},
		{&OwnerSet{}, "", false},
		{&OrganizationSet{Stamp: stamp, OldOrgID: "umbrella"}, "umbrella", true},
		{&OrganizationSet{Stamp: stamp, OldOrgID: "umbrella"}, "acme", false},
		{&OrganizationSet{Stamp: stamp}, "acme", true},
		{&TempKeyDeleted{Stamp: key("acme")}, "acme", true},
		{&TempKeyDeleted{Stamp: key("umbrella")}, "acme", false}, // a collective key is revoked by whose it is
		{&TempKeyDeleted{Stamp: key("umbrella")}, "umbrella", false},
		{&OrganizationSet{Stamp: key("umbrella"), OldOrgID: "umbrella"}, "umbrella", true},
		{&OrganizationSet{Stamp: key("umbrella"), OldOrgID: "umbrella"}, "acme", false},
	} {
		via, from := OriginOf(c.event, c.org)
		require.Equal(t, c.told, via == "lk_abcdef" && from == "203.0.113.7", "%T to %q", c.event, c.org)
		require.Equal(t, !c.told, via == "" && from == "")
	}
}

// An owner may come with the API key of an organisation that the lock is not of. The record does not say whose a key is, and is read by the
// lock's organisation.
func TestTheKeyOfAnotherOrganisationIsNotKept(t *testing.T) {
	t.Parallel()
	s := new(State)
	Evolve(s, &LockCreated{Stamp: Stamp{At: noon, LockUUID: deviceUUID("u1")}, LockID: 1, Index: 1, OwnerID: "ann"})
	owner := func(of OrgID) Caller { return Caller{OrgID: of, UserID: "ann", Key: "lk_abcdef", Addr: "203.0.113.7"} }
	for _, c := range []struct {
		by      Caller
		command func(Caller) Command
		told    bool
	}{
		{owner("umbrella"), func(by Caller) Command { return &SetConfig{By: by, RelockMs: 1000} }, true}, // nobody but the operator reads it
		{owner("umbrella"), func(by Caller) Command { return &SetOrganization{By: by, OrgID: "acme"} }, false},
		{owner("umbrella"), func(by Caller) Command { return &SetConfig{By: by, RelockMs: 2000} }, false},
		{owner("acme"), func(by Caller) Command { return &SetConfig{By: by, RelockMs: 3000} }, true},
		{owner(""), func(by Caller) Command { return &SetConfig{By: by, RelockMs: 4000} }, true},
	} {
		d, err := Decide(s, c.command(c.by), noon)
		require.NoError(t, err)
		stamp := d.Events[0].(interface{ EventStamp() Stamp }).EventStamp()
		require.Equal(t, c.told, stamp.Via == "lk_abcdef" && stamp.From == "203.0.113.7", "%+v", c.by)
		require.Equal(t, !c.told, stamp.Via == "" && stamp.From == "")
		require.Equal(t, "ann", stamp.By)
		require.Equal(t, "user", stamp.ByType())
		Evolve(s, d.Events[0])
	}
}

// Older journals do not have where a call came from, and newer ones leave it out where there is nothing to tell.
func TestStampsOfOlderJournalsAreRead(t *testing.T) {
	t.Parallel()
	e, err := UnmarshalEvent("OwnerSet", []byte(`{"at":"2026-05-01T10:00:00Z","lockUuid":"u","by":"ann","userId":"bob"}`))
	require.NoError(t, err)
	_, data, err := MarshalEvent(e)
	require.NoError(t, err)
	require.JSONEq(t, `{"at":"2026-05-01T10:00:00Z","lockUuid":"u","by":"ann","userId":"bob"}`, string(data))
}

// Whatever a caller wanted is stamped with the whole of the caller: the name alone is not enough for an audit.
func TestCallersAreStampedWhole(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile(`s\.stamp\([^")].*`)
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		code, err := os.ReadFile(f)
		require.NoError(t, err)
		if found := named.Find(code); found != nil {
			t.Errorf("%s: %s: use stampBy", f, found)
		}
	}
}
