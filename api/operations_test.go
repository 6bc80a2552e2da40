package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

func TestCreateLock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	body := `{"index":7,"uuid":"` + strings.ToUpper(deviceUUID) + `","serialNumber":"SN-1","vendorName":"Acme","ownerId":"ann","keys":[{"uuid":"k1","indexNumber":0,"userId":"ann"},{"uuid":"k2"}]}`
	a := s.super("POST", "/locks/42/CreateLock", body)
	require.Equal(t, http.StatusCreated, a.status, a.body)
	require.JSONEq(t, `{"success":true,"aggregateId":"42","version":1,"event":{"type":"LockCreated","data":{"lockId":42,"uuid":"`+deviceUUID+`",
		"serialNumber":"SN-1","ownerId":"ann","timestamp":"2026-05-01T10:00:00.000Z","keys":[{"uuid":"k1","indexNumber":0,"userId":"ann"},{"uuid":"k2"}]}}}`, a.body)

	a = s.super("POST", "/locks/42/CreateLock", body)
	require.Equal(t, http.StatusOK, a.status, "the same lock again")
	require.Nil(t, a.json()["event"])
	s.super("POST", "/locks/42/CreateLock", strings.Replace(body, "SN-1", "SN-2", 1)).requireError(http.StatusConflict, "lock-exists")
	s.super("POST", "/locks/43/CreateLock", body).requireError(http.StatusConflict, "uuid-taken")
	s.call("POST", "/locks/44/CreateLock", body, bearer(token(t, "ann"))).requireError(http.StatusForbidden, "api-key-required")
}

func TestOwnerAndOrganization(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLock(hotel)

	a := s.call("POST", "/locks/42/SetOwner", `{"userId":"ann"}`, as(hotel))
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "OwnerSet", a.json()["event"].(map[string]any)["type"])
	require.Nil(t, s.call("POST", "/locks/42/SetOwner", `{"userId":"ann"}`, as(hotel)).json()["event"])
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", bearer(token(t, "ann"))).status, "the owner sees the lock")

	for _, org := range []string{"hostel-2", "hostel-3"} {
		s.call("POST", "/locks/42/SetOrganization", `{"orgId":"`+org+`"}`, bearer(token(t, "ann"))).requireError(http.StatusForbidden, "organization-required")
	}
	s.call("POST", "/locks/42/SetOrganization", `{"orgId":"hostel-3"}`, as(hotel)).requireError(http.StatusNotFound, "organization-not-found")
	s.call("POST", "/locks/42/SetOrganization", `{"orgId":"hostel-3"}`, as(hostel)).requireError(http.StatusNotFound, "lock-not-found")
	a = s.call("POST", "/locks/42/SetOrganization", `{"orgId":"hostel-2"}`, as(hotel))
	require.Equal(t, http.StatusOK, a.status, a.body)
	s.call("GET", "/locks/42/details", "", as(hotel)).requireError(http.StatusNotFound, "lock-not-found")
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", as(hostel)).status)
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/SetOrganization", `{"orgId":"hostel-3"}`).status, "the operator may register it later")
}

func TestInfo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	require.JSONEq(t, `{"id":"42","lockId":42,"uuid":"`+deviceUUID+`","version":1,"serialNumber":"SN-1","vendorName":"Acme",
		"orgId":"hotel-9","organizationId":"hotel-9","r2Prefix":"lock/42","online":true}`, s.call("GET", "/locks/42/basic-info", "", as(hotel)).body)
	require.JSONEq(t, `{"id":"42","lockId":42,"uuid":"`+deviceUUID+`","version":1,"serialNumber":"SN-1","vendorName":"Acme",
		"orgId":"hotel-9","organizationId":"hotel-9","r2Prefix":"lock/42","keys":[],"residents":[],
		"createdAt":"2026-05-01T10:00:00.000Z","timestamp":"2026-05-01T10:00:00.000Z",
		"device":{"online":true,"deadlineEnforced":true,"firmware":"1.4.2","bolt":"locked","door":"closed","battery":78}}`,
		s.call("GET", "/locks/42/details", "", as(hotel)).body)

	s.call("GET", "/locks/43/details", "", as(hotel)).requireError(http.StatusNotFound, "lock-not-found")
}

func TestTempKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	require.JSONEq(t, `{"tempKeys":[]}`, s.call("GET", "/locks/42/temp-keys", "", as(hotel)).body)

	body := `{"tempKeyUuid":"` + keyUUID + `","accessMode":"user-whitelist","allowedUserIds":["ann","bob"],"validFrom":"2026-05-01T12:00:00.1234+02:00","validUntil":"2026-05-02t10:00:00z","maxUses":3.0,"description":"Room 12"}`
	a := s.call("POST", "/locks/42/create-temp-key", body, as(hotel))
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, keyUUID, a.json()["tempKeyUuid"])
	require.Equal(t, s.url+"/temp-keys/"+keyUUID, a.json()["url"])
	a = s.call("POST", "/locks/42/create-temp-key", body, as(hotel))
	require.Equal(t, http.StatusOK, a.status)
	require.Nil(t, a.json()["event"], "the same key again")
	s.call("POST", "/locks/42/create-temp-key", strings.Replace(body, "3.0", "4", 1), as(hotel)).requireError(http.StatusConflict, "temp-key-exists")

	update := func(changes string) *answer {
		return s.call("POST", "/locks/42/update-temp-key", `{"tempKeyUuid":"`+keyUUID+`"`+changes+`}`, as(hotel))
	}
	update("").requireError(http.StatusBadRequest, "nothing-to-change")
	a = update(`,"maxUses":null,"accessMode":"public","validUntil":"2026-05-03T10:00:00Z"`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, map[string]any{"maxUses": nil, "accessMode": "public", "validUntil": "2026-05-03T10:00:00.000Z"},
		a.json()["event"].(map[string]any)["data"].(map[string]any)["changes"])
	require.Equal(t, http.StatusOK, update(`,"maxUses":5,"allowedUserIds":["cem"],"validFrom":"2026-05-01T11:00:00Z"`).status)

	require.JSONEq(t, `{"tempKeys":[{"uuid":"`+keyUUID+`","lockId":42,"lockUuid":"`+deviceUUID+`","accessMode":"public","allowedUserIds":["cem"],
		"validFrom":"2026-05-01T11:00:00.000Z","validUntil":"2026-05-03T10:00:00.000Z","maxUses":5,"usedCount":0,"description":"Room 12",
		"createdAt":"2026-05-01T10:00:00.000Z","createdBy":"hotel-9","status":"not-yet-valid","url":"`+s.url+`/temp-keys/`+keyUUID+`"}]}`,
		s.call("GET", "/locks/42/temp-keys", "", as(hotel)).body)

	a = s.call("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+keyUUID+`"}`, as(hotel))
	require.Equal(t, "TempKeyDeleted", a.json()["event"].(map[string]any)["type"])
	s.call("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+keyUUID+`"}`, as(hotel)).requireError(http.StatusNotFound, "temp-key-not-found")
}

func TestAKeyWithoutUUIDGetsARandomOne(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	seen := map[string]bool{}
	for range 3 {
		a := s.call("POST", "/locks/42/create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z"}`, as(hotel))
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, a.json()["tempKeyUuid"])
		seen[a.json()["tempKeyUuid"].(string)] = true
	}
	require.Len(t, seen, 3)
}

func TestOpenLock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)

	a := s.call("POST", "/locks/42/OpenLock", `{"requestId":"r1","reason":"courier"}`, as(hotel))
	require.Equal(t, http.StatusOK, a.status, a.body)
	v := a.json()
	require.Equal(t, "opened", v["outcome"])
	require.Equal(t, "r1", v["openRequestId"])
	require.Equal(t, true, v["deadlineEnforced"])
	require.Equal(t, map[string]any{
		"lockId": 42.0, "uuid": deviceUUID, "timestamp": "2026-05-01T10:00:00.000Z", "requestId": "r1", "reason": "courier",
	}, v["event"].(map[string]any)["data"])
	require.Equal(t, a.body, s.call("POST", "/locks/42/OpenLock", `{"requestId":"r1","reason":"courier"}`, as(hotel)).body, "the same request gets the same answer")
	require.Equal(t, 1, s.kernel.opens)

	require.Equal(t, http.StatusOK, s.call("POST", "/locks/42/OpenLock", "", as(hotel)).status, "no body is needed")
	require.Equal(t, 2, s.kernel.opens)

	require.NoError(t, s.kernel.connect(42, nil))
	require.Equal(t, "sent", s.call("POST", "/locks/42/OpenLock", `{"requestId":"r2"}`, as(hotel)).json()["outcome"])
}

func TestOpenLockFails(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.call("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`"}`, as(hotel))
	s.call("POST", "/locks/42/OpenLock", `{}`, as(hotel)).requireError(http.StatusBadGateway, "device-offline")
	require.NoError(t, s.kernel.connect(42, jams))
	v := s.call("POST", "/locks/42/OpenLock", `{"requestId":"r1"}`, as(hotel)).requireError(http.StatusBadGateway, "jammed")
	require.Equal(t, "refused", v["outcome"])
	require.Equal(t, "r1", v["openRequestId"])
}

func TestRotateDeviceSecret(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	first := s.call("POST", "/locks/42/RotateDeviceSecret", "", as(hotel))
	require.Equal(t, http.StatusOK, first.status, first.body)
	secret := first.json()["secret"].(string)
	require.Len(t, secret, 52)
	second := s.call("POST", "/locks/42/RotateDeviceSecret", `{"graceSeconds":60}`, as(hotel))
	require.NotEqual(t, secret, second.json()["secret"])
	require.Equal(t, "2026-05-01T10:01:00.000Z", second.json()["event"].(map[string]any)["data"].(map[string]any)["graceUntil"])
	for _, bad := range []string{"-1", "604801", "9223372036854775807"} {
		s.call("POST", "/locks/42/RotateDeviceSecret", `{"graceSeconds":`+bad+`}`, as(hotel)).requireError(http.StatusBadRequest, "grace-invalid")
	}
	require.NotContains(t, s.call("GET", "/locks/42/events", "", as(hotel)).body, secret)
}

func TestCreateAPIKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.super("POST", "/organizations/hotel-9/api-keys", "")
	require.Equal(t, http.StatusCreated, a.status, a.body)
	key := a.json()["key"].(string)
	s.withLock(key)
	require.Equal(t, http.StatusCreated, s.super("POST", "/organizations/a%2Fb%20c/api-keys", "{}").status)
	s.super("POST", "/organizations/hotel-9/api-keys", `{"admin":true}`).requireError(http.StatusBadRequest, "field-unknown")
	s.call("POST", "/organizations/hotel-9/api-keys", "", as(key)).requireError(http.StatusForbidden, "super-key-required")
	s.super("POST", "/organizations/"+strings.Repeat("x", 801)+"/api-keys", "").requireError(http.StatusBadRequest, "org-id-invalid")
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.super("POST", "/locks/42/SetOrganization", `{"orgId":"hotel-9"}`)
	s.super("POST", "/locks/42/SetOwner", `{"userId":"ann"}`)
	s.withKey(superKey, `,"maxUses":2`)
	s.super("POST", "/locks/42/update-temp-key", `{"tempKeyUuid":"`+keyUUID+`","maxUses":null}`)
	s.call("POST", "/temp-keys/"+keyUUID+"/open", "")
	s.super("POST", "/locks/42/OpenLock", `{"reason":"courier"}`)
	require.NoError(t, s.kernel.connect(42, jams))
	s.call("POST", "/temp-keys/"+keyUUID+"/open", "")
	s.super("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+keyUUID+`"}`)

	var schemas struct{ Events map[string]*openapi3.Schema }
	require.NoError(t, json.Unmarshal(mustRead(t, "testdata/reference-events.json"), &schemas))
	page := s.super("GET", "/locks/42/events", "").json()
	require.Equal(t, "42", page["aggregateId"])
	checked := map[string]bool{}
	for i, item := range page["events"].([]any) {
		e := item.(map[string]any)
		require.EqualValues(t, i+1, e["version"])
		require.Equal(t, "lock", e["aggregateType"])
		require.Equal(t, "2026-05-01T10:00:00.000Z", e["timestamp"])
		if schema := schemas.Events[e["type"].(string)]; schema != nil {
			require.NoError(t, schema.VisitJSON(e["event"], openapi3.EnableJSONSchema2020()), e["type"])
			checked[e["type"].(string)] = true
		}
	}
	require.Len(t, checked, 8, "LockCreated, OrganizationSet, OwnerSet, LockOpenRequested and the four of temporary keys")
	require.Equal(t, "", page["events"].([]any)[0].(map[string]any)["orgId"])
	require.Equal(t, "hotel-9", page["events"].([]any)[2].(map[string]any)["orgId"])
}

func TestEventsComeInPages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	for i := range 250 {
		_, err := s.kernel.Do(t.Context(), 42, &lock.SetOwner{By: lock.Caller{Super: true}, UserID: lock.UserID([]string{"ann", "bob"}[i%2])})
		require.NoError(t, err)
	}
	for _, c := range []struct {
		query    string
		n, first int
	}{{"", 100, 1}, {"?page=1", 100, 1}, {"?page=2", 100, 101}, {"?page=3", 51, 201}, {"?page=4", 0, 0}, {"?page=90071992547409", 0, 0}} {
		page := s.super("GET", "/locks/42/events"+c.query, "").json()
		require.EqualValues(t, 251, page["totalEvents"])
		require.EqualValues(t, 3, page["totalPages"])
		require.EqualValues(t, 100, page["pageSize"])
		events := page["events"].([]any)
		require.Len(t, events, c.n, c.query)
		if c.n > 0 {
			require.EqualValues(t, c.first, events[0].(map[string]any)["version"])
		}
	}
	for _, bad := range []string{"0", "-1", "x", "1.5", "99999999999999999999", "90071992547410"} {
		v := s.super("GET", "/locks/42/events?page="+bad, "").requireError(http.StatusBadRequest, "page-invalid")
		require.Equal(t, "page", v["field"])
	}
}

func TestTheDocumentIsServed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.call("GET", "/openapi.json", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Equal(t, "application/json; charset=utf-8", a.header.Get("Content-Type"))
	doc, err := openapi3.NewLoader().LoadFromData([]byte(a.body))
	require.NoError(t, err)
	require.NoError(t, doc.Validate(t.Context()))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	require.NotContains(t, a.body, "x-go-")
}
