package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// A lock that was handed on brings no history along: what its people did is told to whose it was then, to the owner, and to the operator.
func TestAnOrganisationReadsALocksEventsSinceItIsItsOwn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLock(hotel)
	s.call("POST", "/locks/42/SetOwner", `{"userId":"olga"}`, as(hotel))
	for range 70 { // more than a page
		s.call("POST", "/locks/42/AddResident", `{"name":"Gone Guest","userId":"gone"}`, as(hotel))
		s.call("POST", "/locks/42/RemoveResident", `{"userId":"gone"}`, as(hotel))
	}
	_, before := s.call("GET", "/locks/42/events/export", "", as(hotel)).lines()
	s.call("POST", "/locks/42/SetOrganization", `{"orgId":"hostel-2"}`, as(hotel))
	for range 60 {
		s.call("POST", "/locks/42/AddResident", `{"name":"New Guest","userId":"new"}`, as(hostel))
		s.call("POST", "/locks/42/RemoveResident", `{"userId":"new"}`, as(hostel))
	}
	listed := func(who option, of int) (all []any) {
		t.Helper()
		for page := 1; ; page++ {
			v := s.call("GET", fmt.Sprintf("/locks/42/events?page=%d", page), "", who).json()
			require.EqualValues(t, of, v["totalEvents"])
			require.EqualValues(t, (of+99)/100, v["totalPages"])
			if len(v["events"].([]any)) == 0 {
				return all
			}
			all = append(all, v["events"].([]any)...)
		}
	}
	for _, c := range []struct {
		who    option
		events int
	}{{as(hostel), 121}, {as(superKey), 263}, {bearer(token(t, "olga")), 263}} {
		all := listed(c.who, c.events)
		require.Len(t, all, c.events)
		exported, _ := s.call("GET", "/locks/42/events/export", "", c.who).lines()
		require.Len(t, exported, c.events)
		require.EqualValues(t, 263-c.events+1, exported[0]["version"])
		for i, e := range all {
			delete(exported[i], "cursor")
			require.Equal(t, e, exported[i])
		}
	}
	// A cursor is no way around it, and it is what the organisation's own export has.
	first := listed(as(hostel), 121)[0].(map[string]any)
	require.Equal(t, "OrganizationSet", first["type"])
	behind, err := base64.RawURLEncoding.DecodeString(before["cursor"].(string))
	require.NoError(t, err)
	early := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(behind), "v142.", "v3.", 1)))
	exported, _ := s.call("GET", "/locks/42/events/export?cursor="+early, "", as(hostel)).lines()
	require.Len(t, exported, 121)
}

// The owner of a lock that is handed on stays, and the next organisation can take the owner away: the lock then has none.
func TestAnOwnerIsTakenAway(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLock(hotel)
	olga := bearer(token(t, "olga"))
	basic := func(who option) *answer { return s.call("GET", "/locks/42/basic-info", "", who) }
	without := basic(as(hotel)).json()
	s.call("POST", "/locks/42/SetOwner", `{"userId":"olga"}`, as(hotel))
	s.call("POST", "/locks/42/SetOrganization", `{"orgId":"hostel-2"}`, as(hotel))
	require.Equal(t, http.StatusOK, basic(olga).status)

	s.call("POST", "/locks/42/SetOwner", `{"userId":""}`, as(hostel)).requireError(http.StatusBadRequest, "user-id-invalid")
	s.call("POST", "/locks/42/SetOwner", `{}`, as(hostel)).requireError(http.StatusBadRequest, "field-missing")
	s.call("POST", "/locks/42/SetOwner", `{"userId":null}`, as(hotel)).requireError(http.StatusNotFound, "lock-not-found")
	taken := s.call("POST", "/locks/42/SetOwner", `{"userId":null}`, as(hostel), named("n1"))
	require.Equal(t, http.StatusOK, taken.status, taken.body)
	require.JSONEq(t, `{"type":"OwnerSet","data":{"lockId":42,"uuid":"`+deviceUUID+`","timestamp":"2026-05-01T10:00:00.000Z","userId":""}}`, string(mustMarshal(t, taken.json()["event"])))
	require.Equal(t, taken.body, s.call("POST", "/locks/42/SetOwner", `{"userId":null}`, as(hostel), named("n1")).body)
	require.Nil(t, s.call("POST", "/locks/42/SetOwner", `{"userId":null}`, as(hostel)).json()["event"])
	for _, who := range []option{olga, bearer(token(t, "eve"))} {
		basic(who).requireError(http.StatusNotFound, "lock-not-found")
		s.call("POST", "/locks/42/OpenLock", `{}`, who).requireError(http.StatusNotFound, "lock-not-found")
	}
	with := basic(as(hostel)).json()
	require.Equal(t, without["ownerId"], with["ownerId"], "it is as of a lock that never had an owner")
}

// A lock that somebody else has prepared is not told to the next organisation as one that it has just created, and what it is told to do
// leaves nothing of what was prepared.
func TestALockThatWasPreparedIsNotCreated(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	create := func(body string, who option) *answer { return s.call("POST", "/locks/42/CreateLock", body, who) }
	same := `{"index":1,"uuid":"` + deviceUUID + `"}`
	require.Equal(t, http.StatusCreated, create(same, as(hotel)).status)
	require.Equal(t, http.StatusOK, create(same, as(hotel)).status)
	s.call("POST", "/locks/42/SetOwner", `{"userId":"mallory"}`, as(hotel))
	s.withKey(hotel, "")
	known := s.call("POST", "/locks/42/RotateDeviceSecret", "", as(hotel)).json()["secret"].(string)
	s.call("POST", "/locks/42/SetOrganization", `{"orgId":"hostel-2"}`, as(hotel))

	create(same, as(hostel)).requireError(http.StatusConflict, "lock-handed-over")
	create(`{"index":2,"uuid":"`+deviceUUID+`"}`, as(hostel)).requireError(http.StatusConflict, "lock-handed-over")
	create(same, as(hotel)).requireError(http.StatusConflict, "lock-exists")
	require.Equal(t, http.StatusOK, create(same, as(superKey)).status)

	// As docs/access.md has it.
	details := s.call("GET", "/locks/42/details", "", as(hostel)).json()
	require.Equal(t, "mallory", details["ownerId"])
	require.Equal(t, http.StatusOK, s.call("POST", "/locks/42/SetOwner", `{"userId":null}`, as(hostel)).status)
	rotated := s.call("POST", "/locks/42/RotateDeviceSecret", `{"graceSeconds":0}`, as(hostel)).json()["secret"].(string)
	require.Equal(t, http.StatusOK, s.call("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+keyUUID+`"}`, as(hostel)).status)

	s.call("POST", "/locks/42/OpenLock", `{}`, bearer(token(t, "mallory"))).requireError(http.StatusNotFound, "lock-not-found")
	s.call("POST", "/temp-keys/"+keyUUID+"/open", "", header("Accept", "application/json")).requireError(http.StatusNotFound, "temp-key-not-found")
	for secret, good := range map[string]bool{known: false, rotated: true} {
		hash := sha256.Sum256([]byte(secret))
		_, err := s.kernel.Do(t.Context(), 42, &lock.AuthenticateDevice{UUID: deviceUUID, Hash: hash[:]})
		require.Equal(t, good, err == nil, err)
	}
}

// Whoever lost the answer to a hand-over hears that it was carried out, and not that there is no such lock.
func TestAHandOverThatIsSentAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.orgKey("hostel-2")
	s.withLock(hotel)
	s.call("POST", "/locks/42/SetOwner", `{"userId":"olga"}`, as(hotel))
	for _, c := range []struct {
		what, body string
		who        option
	}{{"SetOwner", `{"userId":"otto"}`, bearer(token(t, "olga"))}, {"SetOrganization", `{"orgId":"hostel-2"}`, as(hotel)}} {
		first := s.call("POST", "/locks/42/"+c.what, c.body, c.who, named("h1"))
		require.Equal(t, http.StatusOK, first.status, first.body)
		again := s.call("POST", "/locks/42/"+c.what, c.body, c.who, named("h1"))
		require.Equal(t, http.StatusOK, again.status, again.body)
		require.Equal(t, first.body, again.body)
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		s.call("POST", "/locks/42/"+c.what, c.body, c.who).requireError(http.StatusNotFound, "lock-not-found")
	}
}

func mustMarshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}
