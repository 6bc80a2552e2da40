package tenant_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

func TestAKeyHasScopesAndAnEnd(t *testing.T) {
	t.Parallel()
	keys, _, now := newKeys(t, 0)
	key, secret, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{
		Name: "Dashboard", Scopes: []tenant.Scope{tenant.Open, tenant.Read, tenant.Open}, ExpiresAt: new(start.Add(time.Hour)),
	})
	require.NoError(t, err)
	require.Equal(t, []tenant.Scope{tenant.Read, tenant.Open}, key.Scopes)
	got, err := keys.Authenticate(t.Context(), secret)
	require.NoError(t, err)
	require.Equal(t, key.Scopes, got.Scopes)
	now.Advance(time.Hour - time.Millisecond)
	_, err = keys.Authenticate(t.Context(), secret)
	require.NoError(t, err)
	now.Advance(time.Millisecond)
	_, err = keys.Authenticate(t.Context(), secret)
	requireUnauthentic(t, err, "api-key-expired")
	list, err := keys.List(t.Context(), "hotel-9")
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "Dashboard", list[0].Name)
	require.Equal(t, "super", list[0].CreatedBy)
	require.Equal(t, tenant.Expired, list[0].Status(now.Now()))
}

func TestWhatAKeyMayNotBe(t *testing.T) {
	t.Parallel()
	keys, j, _ := newKeys(t, 0)
	for _, c := range []struct {
		want          tenant.NewKey
		field, reason string
	}{
		{tenant.NewKey{Scopes: []tenant.Scope{}}, "scopes", "scope-invalid"},
		{tenant.NewKey{Scopes: []tenant.Scope{"admin"}}, "scopes", "scope-invalid"},
		{tenant.NewKey{Scopes: []tenant.Scope{""}}, "scopes", "scope-invalid"},
		{tenant.NewKey{Scopes: []tenant.Scope{"super"}}, "scopes", "scope-invalid"},
		{tenant.NewKey{ExpiresAt: new(start)}, "expiresAt", "expiry-invalid"},
		{tenant.NewKey{ExpiresAt: new(time.Time)}, "expiresAt", "expiry-invalid"},
		{tenant.NewKey{ExpiresAt: new(time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600)))}, "expiresAt", "expiry-invalid"},
		{tenant.NewKey{Name: strings.Repeat("x", 801)}, "name", "name-invalid"},
		{tenant.NewKey{Name: "a\nb"}, "name", "name-invalid"},
	} {
		_, _, err := keys.Create(t.Context(), operator, "hotel-9", c.want)
		requireRejected(t, err, lock.Invalid, c.reason)
		var rejection *lock.Error
		require.ErrorAs(t, err, &rejection)
		require.Equal(t, c.field, rejection.Field)
	}
	version, _, err := j.Head(t.Context(), "org/hotel-9")
	require.NoError(t, err)
	require.Zero(t, version)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	keys, _, now := newKeys(t, 0)
	old, secret, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{
		Name: "PMS", Scopes: []tenant.Scope{tenant.Manage}, ExpiresAt: new(start.Add(90 * 24 * time.Hour)),
	})
	require.NoError(t, err)
	now.Advance(30 * 24 * time.Hour)
	successor, second, err := keys.Rotate(t.Context(), operator, "hotel-9", old.ID, time.Hour)
	require.NoError(t, err)
	require.NotEqual(t, secret, second)
	require.Equal(t, "PMS", successor.Name)
	require.Equal(t, old.ID, successor.Replaces)
	require.Equal(t, []tenant.Scope{tenant.Manage}, successor.Scopes)
	require.Equal(t, start.Add(120*24*time.Hour), successor.ExpiresAt, "it lives as long as the one before was made to")

	both := func(first string) {
		t.Helper()
		for s, reason := range map[string]string{secret: first, second: ""} {
			_, err := keys.Authenticate(t.Context(), s)
			if reason == "" {
				require.NoError(t, err)
			} else {
				requireUnauthentic(t, err, reason)
			}
		}
	}
	both("")
	now.Advance(time.Hour - time.Millisecond)
	both("")
	now.Advance(time.Millisecond)
	both("api-key-expired")

	_, _, err = keys.Rotate(t.Context(), operator, "hotel-9", old.ID, time.Hour)
	requireRejected(t, err, lock.Conflict, "api-key-expired")
	_, err = keys.Revoke(t.Context(), operator, "hotel-9", successor.ID)
	require.NoError(t, err)
	_, _, err = keys.Rotate(t.Context(), operator, "hotel-9", successor.ID, time.Hour)
	requireRejected(t, err, lock.Conflict, "api-key-revoked")
	for _, grace := range []time.Duration{-1, tenant.MaxGrace + 1} {
		_, _, err = keys.Rotate(t.Context(), operator, "hotel-9", successor.ID, grace)
		requireRejected(t, err, lock.Invalid, "grace-invalid")
	}
}

// A time.Duration ends at 292 years, and the lifetime of a key does not.
func TestALongLifeIsAsLongAfterARotation(t *testing.T) {
	t.Parallel()
	for end, want := range map[time.Time]time.Time{
		start.AddDate(400, 0, 0):                         start.AddDate(400, 0, 0).Add(time.Hour),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC): time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC),
	} {
		keys, _, now := newKeys(t, 0)
		old, _, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{ExpiresAt: &end})
		require.NoError(t, err)
		now.Advance(time.Hour)
		successor, _, err := keys.Rotate(t.Context(), operator, "hotel-9", old.ID, 0)
		require.NoError(t, err)
		require.Equal(t, want, successor.ExpiresAt)
	}
}

// A grace never makes a key live longer than it would have.
func TestAGraceEndsWithTheKey(t *testing.T) {
	t.Parallel()
	keys, j, now := newKeys(t, 0)
	old, secret, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{ExpiresAt: new(start.Add(time.Hour))})
	require.NoError(t, err)
	_, _, err = keys.Rotate(t.Context(), operator, "hotel-9", old.ID, 24*time.Hour)
	require.NoError(t, err)
	records, err := j.Read(t.Context(), "org/hotel-9", 2, 1)
	require.NoError(t, err)
	replaced, err := tenant.ReadEvent(&records[0])
	require.NoError(t, err)
	require.Equal(t, start.Add(time.Hour), replaced.(*tenant.KeyReplaced).GraceUntil, "its event does not say so either")
	now.Advance(time.Hour)
	_, err = keys.Authenticate(t.Context(), secret)
	requireUnauthentic(t, err, "api-key-expired")
}

func TestOtherOrganisationsKeysAreNotFound(t *testing.T) {
	t.Parallel()
	keys, _, _ := newKeys(t, 0)
	key, secret, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
	_, _, err = keys.Create(t.Context(), operator, "hostel-2", tenant.NewKey{})
	require.NoError(t, err)
	_, err = keys.Revoke(t.Context(), operator, "hostel-2", key.ID)
	requireRejected(t, err, lock.NotFound, "api-key-not-found")
	_, _, err = keys.Rotate(t.Context(), operator, "hostel-2", key.ID, 0)
	requireRejected(t, err, lock.NotFound, "api-key-not-found")
	_, err = keys.Authenticate(t.Context(), secret)
	require.NoError(t, err)
	_, err = keys.List(t.Context(), "nobody")
	requireRejected(t, err, lock.NotFound, "organization-not-found")
}

func TestOrganisationsAreListed(t *testing.T) {
	t.Parallel()
	keys, j, _ := newKeys(t, 0)
	for _, stream := range []string{"lock/1", "or", "org.x", "orh/1"} { // neighbours of theirs in the journal
		_, err := journal.Do(t.Context(), j, journal.Append{Stream: stream, ID: "1", Records: []journal.NewRecord{{Type: "X"}}})
		require.NoError(t, err)
	}
	o, created, err := keys.Register(t.Context(), operator, "hotel-9", "Hotel Nine")
	require.NoError(t, err)
	require.True(t, created)
	require.Equal(t, tenant.Organization{ID: "hotel-9", Name: "Hotel Nine", Since: start}, o)
	_, _, err = keys.Create(t.Context(), operator, "hostel-2", tenant.NewKey{})
	require.NoError(t, err)
	for _, name := range []string{"Hotel 9", "Hotel 9", ""} {
		o, created, err = keys.Register(t.Context(), operator, "hotel-9", name)
		require.NoError(t, err)
		require.False(t, created)
		require.Equal(t, "Hotel 9", o.Name)
	}
	version, _, err := j.Head(t.Context(), "org/hotel-9")
	require.NoError(t, err)
	require.EqualValues(t, 2, version, "what is so already changes nothing")
	all, err := keys.Organizations(t.Context(), "", 10)
	require.NoError(t, err)
	require.Equal(t, []tenant.Organization{{ID: "hostel-2", Since: start}, {ID: "hotel-9", Name: "Hotel 9", Since: start}}, all)
	page, err := keys.Organizations(t.Context(), "", 1)
	require.NoError(t, err)
	require.Equal(t, all[:1], page)
	page, err = keys.Organizations(t.Context(), page[0].ID, 10)
	require.NoError(t, err)
	require.Equal(t, all[1:], page)
}

// Journals from before there were scopes have records with an instant, an organisation, a hint and a hash.
func TestKeysOfOlderJournalsAreGood(t *testing.T) {
	t.Parallel()
	keys, j, _ := newKeys(t, 0)
	made, secret, err := keys.Create(t.Context(), operator, "other", tenant.NewKey{})
	require.NoError(t, err)
	records, err := j.Read(t.Context(), "org/other", 0, 1)
	require.NoError(t, err)
	var record struct{ Hint, Hash string }
	require.NoError(t, json.Unmarshal(records[0].Data, &record))

	older, k, _ := newKeys(t, 0)
	_, err = journal.Do(t.Context(), k, journal.Append{
		Stream: "org/hotel-9", ID: "1", Index: []journal.IndexChange{{Op: journal.Claim, Kind: "api-key", Key: record.Hash}},
		Records: []journal.NewRecord{{Type: "ApiKeyCreated", Time: start, Data: []byte(
			`{"at":"2026-05-01T10:00:00Z","orgId":"hotel-9","hint":"` + record.Hint + `","hash":"` + record.Hash + `"}`)}},
	})
	require.NoError(t, err)
	got, err := older.Authenticate(t.Context(), secret)
	require.NoError(t, err)
	require.EqualValues(t, "hotel-9", got.OrgID)
	require.Equal(t, tenant.AllScopes(), got.Scopes)
	_, err = older.Revoke(t.Context(), operator, "hotel-9", made.ID)
	require.NoError(t, err)
	_, err = older.Authenticate(t.Context(), secret)
	requireUnauthentic(t, err, "api-key-revoked")
}

// A member that does not understand what a newer one wrote takes none of the organisation's keys.
func TestRecordsOfTheFutureCloseTheDoor(t *testing.T) {
	t.Parallel()
	keys, j, now := newKeys(t, 0)
	_, secret, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
	_, err = journal.Do(t.Context(), j, journal.Append{
		Stream: "org/hotel-9", Expected: 1, ID: "2", Records: []journal.NewRecord{{Type: "ApiKeysFrozen", Time: start, Data: []byte(`{}`)}},
	})
	require.NoError(t, err)
	now.Advance(time.Second)
	_, err = keys.Authenticate(t.Context(), secret)
	require.ErrorContains(t, err, "newer version")
}

func TestEventsTellWhoAndFromWhereAndNoSecrets(t *testing.T) {
	t.Parallel()
	keys, j, _ := newKeys(t, 0)
	_, _, err := keys.Register(t.Context(), operator, "hotel-9", "Hotel Nine")
	require.NoError(t, err)
	key, secret, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{ExpiresAt: new(start.Add(time.Hour))})
	require.NoError(t, err)
	successor, _, err := keys.Rotate(t.Context(), operator, "hotel-9", key.ID, time.Minute)
	require.NoError(t, err)
	_, err = keys.Revoke(t.Context(), operator, "hotel-9", key.ID)
	require.NoError(t, err)
	records, err := j.Read(t.Context(), "org/hotel-9", 0, 10)
	require.NoError(t, err)
	var types []string
	var public []map[string]any
	for i := range records {
		e, err := tenant.ReadEvent(&records[i])
		require.NoError(t, err)
		require.Equal(t, tenant.Stamp{At: start, OrgID: "hotel-9", By: "super", From: "203.0.113.7"}, tenant.StampOf(e))
		typ, data := tenant.PublicEvent(e)
		require.Equal(t, records[i].Type, typ)
		types, public = append(types, typ), append(public, data)
		shown, err := json.Marshal(data)
		require.NoError(t, err)
		require.NotContains(t, string(shown)+string(records[i].Data), secret[9:])
		require.NotContains(t, string(shown), "hash")
	}
	require.Equal(t, []string{"OrganizationRegistered", "ApiKeyCreated", "ApiKeyCreated", "ApiKeyReplaced", "ApiKeyRevoked"}, types)
	require.Equal(t, map[string]any{
		"orgId": lock.OrgID("hotel-9"), "timestamp": "2026-05-01T10:00:00.000Z", "keyId": successor.ID, "prefix": successor.Hint, "name": "",
		"scopes": tenant.AllScopes(), "expiresAt": "2026-05-01T11:00:00.000Z", "replaces": key.ID,
	}, public[2])
}

func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	keys, _, _ := newKeys(t, 0)
	const most = 1000
	var first tenant.Key
	for i := range most {
		key, _, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
		require.NoError(t, err)
		if i == 0 {
			first = key
		}
	}
	_, _, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	requireRejected(t, err, lock.Conflict, "too-many-api-keys")
	_, _, err = keys.Rotate(t.Context(), operator, "hotel-9", first.ID, 0)
	requireRejected(t, err, lock.Conflict, "too-many-api-keys")
	_, err = keys.Revoke(t.Context(), operator, "hotel-9", first.ID)
	require.NoError(t, err)
	_, _, err = keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
}
