package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestResidents(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	do := func(action, body string) *answer { return s.call("POST", "/locks/42/"+action, body, as(hotel)) }
	list := func() []any { return s.call("GET", "/locks/42/residents", "", as(hotel)).json()["residents"].([]any) }
	require.Empty(t, list())
	s.call("GET", "/locks/42/residents", "").requireError(http.StatusUnauthorized, "credentials-required")

	a := do("AddResident", `{"name":"Ann","userId":"ann","email":"Ann@Example.org","phoneNumber":"+49 30 901820"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.JSONEq(t, `{"success":true,"aggregateId":"42","version":2,"userId":"ann","email":"ann@example.org","event":{"type":"ResidentAdded","data":{"lockId":42,
		"uuid":"`+deviceUUID+`","timestamp":"2026-05-01T10:00:00.000Z","userId":"ann","name":"Ann","email":"ann@example.org"}}}`, a.body)
	require.Nil(t, do("AddResident", `{"name":"Ann","userId":"ann","email":"ann@example.org","phoneNumber":"+4930901820"}`).json()["event"])

	// Who is not named by a userId is somebody of the directory, the same one each time.
	bob := do("AddResident", `{"name":"Bob","email":"bob@example.org"}`)
	require.Equal(t, http.StatusOK, bob.status, bob.body)
	id := bob.json()["userId"].(string)
	require.Equal(t, id, do("AddResident", `{"name":"Bobby","email":"BOB@example.org","phoneNumber":"004930901821"}`).json()["userId"])
	require.Equal(t, id, do("AddResident", `{"name":"Bobby","phoneNumber":"+49 (0)30 901821"}`).json()["userId"])
	do("AddResident", `{"name":"Ann A.","userId":"ann","email":"ann@example.org","phoneNumber":"+4930901820"}`)
	require.Equal(t, []any{
		map[string]any{"userId": "ann", "name": "Ann A.", "email": "ann@example.org", "hasPhone": true},
		map[string]any{"userId": id, "name": "Bobby", "email": "bob@example.org", "hasPhone": true},
	}, list(), "whoever is changed keeps their place")
	for _, less := range []string{`{"name":"Bobby","email":"bob@example.org"}`, `{"name":"Bobby","userId":"` + id + `"}`, `{"name":"Bobby","phoneNumber":"+4930901821"}`} {
		a := do("AddResident", less)
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Nil(t, a.json()["event"], less)
	}
	require.Contains(t, list(), map[string]any{"userId": id, "name": "Bobby", "email": "bob@example.org", "hasPhone": true}, "what is not named stays")
	require.Equal(t, id, s.call("GET", "/users/by-email?email=bob@example.org", "", as(hotel)).json()["userId"])

	for _, bad := range []struct{ body, reason string }{
		{`{"userId":"ann"}`, "field-missing"}, {`{"name":"","userId":"ann"}`, "name-invalid"}, {`{"name":"","email":"x@example.org"}`, "name-invalid"},
		{`{"name":"Ann"}`, "resident-required"}, {`{"name":"Ann","email":"nonsense"}`, "email-invalid"}, {`{"name":"Ann","phoneNumber":"123"}`, "phone-invalid"},
		{`{"name":"Ann","userId":"ann","email":"nonsense"}`, "email-invalid"},
	} {
		do("AddResident", bad.body).requireError(http.StatusBadRequest, bad.reason)
	}

	// A resident is removed by what the list has of them.
	do("RemoveResident", `{}`).requireError(http.StatusBadRequest, "resident-required")
	do("RemoveResident", `{"userId":"carol"}`).requireError(http.StatusNotFound, "resident-not-found")
	do("RemoveResident", `{"userId":"ann","email":"bob@example.org"}`).requireError(http.StatusNotFound, "resident-not-found")
	do("RemoveResident", `{"email":"carol@example.org"}`).requireError(http.StatusNotFound, "resident-not-found")
	a = do("RemoveResident", `{"email":"bob@example.org","phoneNumber":"+4930901821"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, id, a.json()["event"].(map[string]any)["data"].(map[string]any)["userId"])
	a = do("RemoveResident", `{"phoneNumber":"+49 30 901820"}`)
	require.Equal(t, "ann@example.org", a.json()["email"])
	require.Empty(t, list())
}

// People of one home share an address. None of them takes the place of another one, and nobody goes who was not meant.
func TestResidentsOfOneHome(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	do := func(action, body string) *answer { return s.call("POST", "/locks/42/"+action, body, as(hotel)) }
	ann := do("AddResident", `{"name":"Ann","email":"ann@example.org","phoneNumber":"+4930901820"}`)
	require.Equal(t, http.StatusOK, ann.status, ann.body)
	refused := do("AddResident", `{"name":"Ben","email":"ben@example.org","phoneNumber":"+4930901820"}`).requireError(http.StatusConflict, "contacts-differ")
	require.Equal(t, "phoneNumber", refused["field"])
	refused = do("AddResident", `{"name":"Ben","phoneNumber":"+4930901820"}`).requireError(http.StatusConflict, "phone-shared")
	require.Equal(t, "phoneNumber", refused["field"])
	require.Equal(t, http.StatusOK, do("AddResident", `{"name":"Ben","userId":"ben","email":"ann@example.org","phoneNumber":"+4930901820"}`).status)

	// A removal that was sent twice takes nobody else away, whoever the directory knows by the address.
	for _, address := range []string{`{"email":"ann@example.org"}`, `{"phoneNumber":"+4930901820"}`} {
		do("RemoveResident", address).requireError(http.StatusConflict, "residents-alike")
	}
	require.Equal(t, http.StatusOK, do("RemoveResident", `{"email":"ann@example.org","userId":"ben"}`).status)
	do("RemoveResident", `{"email":"ann@example.org","userId":"ben"}`).requireError(http.StatusNotFound, "resident-not-found")
	id := ann.json()["userId"].(string)
	require.Equal(t, http.StatusOK, do("AddResident", `{"name":"Ann","userId":"`+id+`","email":"new@example.org"}`).status)
	do("RemoveResident", `{"email":"ann@example.org"}`).requireError(http.StatusNotFound, "resident-not-found")
	left := s.call("GET", "/locks/42/residents", "", as(hotel)).json()["residents"].([]any)
	require.Len(t, left, 1)
	require.Equal(t, id, left[0].(map[string]any)["userId"])
}

// The directory is the organisation's. An owner names residents by userId, and neither reads who is in the directory nor writes there,
// not even with another organisation's key beside the token; nobody makes users in somebody else's.
func TestResidentsOfAnOwner(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLock(hotel)
	s.call("POST", "/locks/42/SetOwner", `{"userId":"olga"}`, as(hotel))
	maid := s.call("POST", "/users/by-email", `{"email":"maid@example.org"}`, as(hotel)).json()
	olga := bearer(token(t, "olga"))
	for _, who := range [][]option{{olga}, {olga, as(hostel)}} {
		for _, contact := range []string{
			`"email":"maid@example.org"`, `"email":"bob@example.org"`, `"phoneNumber":"+49 170 6660666"`,
			`"email":"maid@example.org","phoneNumber":"+49 170 6660666"`,
		} {
			v := s.call("POST", "/locks/42/AddResident", `{"name":"Bob",`+contact+`}`, who...).requireError(http.StatusForbidden, "api-key-required")
			require.Equal(t, "userId", v["field"])
		}
		a := s.call("POST", "/locks/42/AddResident", `{"name":"Bob","userId":"bob","email":"bob@example.org","phoneNumber":"+49 170 6660666"}`, who...)
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	require.Equal(t, maid, s.call("GET", "/users/by-email?email=maid@example.org", "", as(hotel)).json(), "no phone has come to the maid")
	for _, key := range []string{hotel, hostel, superKey} {
		s.call("GET", "/users/by-email?email=bob@example.org", "", as(key)).requireError(http.StatusNotFound, "user-not-found")
	}
	a := s.call("POST", "/locks/42/RemoveResident", `{"email":"bob@example.org"}`, olga)
	require.Equal(t, http.StatusOK, a.status, "the list is the lock's, which the owner sees")
	a = s.call("POST", "/locks/42/AddResident", `{"name":"Maid","email":"maid@example.org"}`, olga, as(hotel))
	require.Equal(t, maid["userId"], a.json()["userId"], a.body)

	s.call("POST", "/locks/42/AddResident", `{"name":"Eve","email":"eve@example.org"}`, as(hostel)).requireError(http.StatusNotFound, "lock-not-found")
	for _, key := range []string{hotel, hostel, superKey} {
		s.call("GET", "/users/by-email?email=eve@example.org", "", as(key)).requireError(http.StatusNotFound, "user-not-found")
	}
}

// A lock of no organisation has the operator's directory. Its owner has no organisation either, and the directory is not theirs for that.
func TestResidentsOfAnOwnerWithoutOrganisation(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","ownerId":"olga"}`)
	maid := s.super("POST", "/users/by-email", `{"email":"maid@example.org"}`).json()
	olga := bearer(token(t, "olga"))
	for _, who := range [][]option{{olga}, {olga, as(hotel)}} {
		for _, contact := range []string{
			`"email":"maid@example.org"`, `"email":"bob@example.org"`, `"phoneNumber":"+49 170 6660666"`,
			`"email":"maid@example.org","phoneNumber":"+49 170 6660666"`,
		} {
			s.call("POST", "/locks/42/AddResident", `{"name":"Bob",`+contact+`}`, who...).requireError(http.StatusForbidden, "api-key-required")
		}
	}
	require.Equal(t, maid, s.super("GET", "/users/by-email?email=maid@example.org", "").json(), "no phone has come to the maid")
	s.call("GET", "/users/by-email?email=bob@example.org", "", as(superKey)).requireError(http.StatusNotFound, "user-not-found")
	a := s.call("POST", "/locks/42/AddResident", `{"name":"Bob","userId":"bob","email":"bob@example.org"}`, olga)
	require.Equal(t, http.StatusOK, a.status, a.body)
	a = s.super("POST", "/locks/42/AddResident", `{"name":"Maid","email":"maid@example.org"}`)
	require.Equal(t, maid["userId"], a.json()["userId"], a.body)
}

func TestTheDirectory(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	a := s.call("POST", "/users/by-email", `{"email":"Ann@example.org","phoneNumber":"+49 30 901820"}`, as(hotel))
	require.Equal(t, http.StatusCreated, a.status, a.body)
	user := a.json()
	require.Equal(t, map[string]any{"userId": user["userId"], "email": "ann@example.org", "hasPhone": true, "createdAt": "2026-05-01T10:00:00.000Z"}, user)
	require.Equal(t, http.StatusOK, s.call("POST", "/users/by-email", `{"email":"ann@example.org"}`, as(hotel)).status)
	require.Equal(t, user, s.call("GET", "/users/by-email?email=ann@example.org", "", as(hotel)).json())
	s.call("POST", "/users/by-email", `{"email":"bob@example.org"}`, as(hotel))
	s.call("POST", "/users/by-email", `{"email":"bob@example.org","phoneNumber":"+4930901820"}`, as(hotel)).requireError(http.StatusConflict, "contacts-differ")

	s.call("POST", "/users/by-email", `{"email":"new@example.org","phoneNumber":"+4930901820"}`, as(hotel)).requireError(http.StatusConflict, "contacts-differ")
	s.call("GET", "/users/by-email?email=new@example.org", "", as(hotel)).requireError(http.StatusNotFound, "user-not-found")

	s.call("GET", "/users/by-email", "", as(hotel)).requireError(http.StatusBadRequest, "parameter-missing")
	s.call("GET", "/users/by-email?email=nonsense", "", as(hotel)).requireError(http.StatusBadRequest, "email-invalid")
	s.call("POST", "/users/by-email", `{"email":""}`, as(hotel)).requireError(http.StatusBadRequest, "email-invalid")
	s.call("POST", "/users/by-email", `{}`, as(hotel)).requireError(http.StatusBadRequest, "field-missing")
	s.call("GET", "/users/by-email?email=ann@example.org", "", bearer(token(t, "ann"))).requireError(http.StatusForbidden, "api-key-required")
	s.call("POST", "/users/by-email", `{"email":"ann@example.org"}`, bearer(token(t, "ann"))).requireError(http.StatusForbidden, "api-key-required")
}
