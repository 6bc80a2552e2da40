package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

var session = lock.Session{Node: "n1", ID: 1}

// obeys and refusesKeys are what devices say to a change of a key; silent ones say nothing.
func obeys(id lock.CommandID) *lock.AnswerKey {
	return &lock.AnswerKey{Session: session, CommandID: id, Done: true}
}

func refusesKeys(id lock.CommandID) *lock.AnswerKey {
	return &lock.AnswerKey{Session: session, CommandID: id, Executed: lock.NotExecuted, Code: "NoSpace", Message: "the table is full"}
}

func silent(lock.CommandID) *lock.AnswerKey { return nil }

// keeping gives lock 42 a device that keeps keys.
func (s *server) keeping(answer func(lock.CommandID) *lock.AnswerKey) {
	s.t.Helper()
	s.kernel.mu.Lock()
	s.kernel.answerKey = answer
	s.kernel.mu.Unlock()
	require.NoError(s.t, s.kernel.connect(42, opens))
}

func TestPermanentKeysOfAList(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	do := func(action, body string) *answer { return s.call("POST", "/locks/42/"+action, body, as(hotel)) }

	a := do("AddKey", `{"keyUuid":"card-1","keyIndexNumber":3,"userId":"ann"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.JSONEq(t, `{"success":true,"aggregateId":"42","version":2,"onDevice":"no","event":{"type":"KeyAdded","data":{"lockId":42,"uuid":"`+deviceUUID+`",
		"timestamp":"2026-05-01T10:00:00.000Z","keyUuid":"card-1","keyIndexNumber":3,"userId":"ann"}}}`, a.body)
	a = do("AddKey", `{"keyUuid":"card-1","keyIndexNumber":3,"userId":"ann"}`)
	require.Equal(t, http.StatusOK, a.status)
	require.Nil(t, a.json()["event"], "the same key again")
	do("AddKey", `{"keyUuid":"card-2","keyIndexNumber":3}`).requireError(http.StatusConflict, "key-exists")
	do("WriteKey", `{"keyUuid":"card-1"}`).requireError(http.StatusBadGateway, "keys-unsupported")
	do("WriteKey", `{"keyUuid":"card-9"}`).requireError(http.StatusNotFound, "key-not-found")
	do("RemoveKey", `{}`).requireError(http.StatusBadRequest, "key-required")
	do("RemoveKey", `{"keyIndexNumber":4}`).requireError(http.StatusNotFound, "key-not-found")
	a = do("RemoveKey", `{"keyIndexNumber":3}`)
	require.Equal(t, "KeyRemoved", a.json()["event"].(map[string]any)["type"])
	require.Equal(t, "no", a.json()["onDevice"])

	for _, bad := range []struct{ body, reason string }{
		{`{}`, "field-missing"}, {`{"keyUuid":""}`, "key-uuid-invalid"}, {`{"keyUuid":7}`, "field-invalid"},
		{`{"keyUuid":"a","keyIndexNumber":-1}`, "key-index-invalid"}, {`{"keyUuid":"a","keyIndexNumber":1.5}`, "field-invalid"},
		{`{"keyUuid":"a","onDevice":"yes"}`, "field-unknown"}, {`{"keyUuid":"a\u0000"}`, "key-uuid-invalid"},
		{`{"keyUuid":"` + strings.Repeat("a", 801) + `"}`, "key-uuid-invalid"}, {`[]`, "json-invalid"}, {`{"keyUuid":"a"}{}`, "json-invalid"},
	} {
		do("AddKey", bad.body).requireError(http.StatusBadRequest, bad.reason)
	}
}

func TestPermanentKeysOfADevice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	do := func(action, body string) *answer { return s.call("POST", "/locks/42/"+action, body, as(hotel)) }
	details := func() map[string]any { return s.call("GET", "/locks/42/details", "", as(hotel)).json() }
	require.Equal(t, http.StatusOK, do("AddKey", `{"keyUuid":"card-0"}`).status)

	s.keeping(obeys)
	a := do("AddKey", `{"keyUuid":"card-1"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "yes", a.json()["onDevice"])
	require.NotEmpty(t, a.json()["commandId"])
	require.Equal(t, "KeyAdded", a.json()["event"].(map[string]any)["type"])
	require.EqualValues(t, 4, a.json()["version"], "the version of the event that it tells of")
	a = do("WriteKey", `{"keyUuid":"card-0"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "KeyWriteRequested", a.json()["event"].(map[string]any)["type"])
	require.Equal(t, map[string]any{"lockId": 42.0, "uuid": deviceUUID, "timestamp": "2026-05-01T10:00:00.000Z", "keyUuid": "card-0"},
		a.json()["event"].(map[string]any)["data"])
	require.Equal(t, []any{map[string]any{"uuid": "card-0", "onDevice": "yes"}, map[string]any{"uuid": "card-1", "onDevice": "yes"}}, details()["keys"])

	s.keeping(refusesKeys)
	v := do("AddKey", `{"keyUuid":"card-2"}`).requireError(http.StatusBadGateway, "no-space")
	require.Equal(t, "the table is full", v["message"])
	do("RemoveKey", `{"keyUuid":"card-1"}`).requireError(http.StatusBadGateway, "no-space")
	require.Len(t, details()["keys"], 2, "nothing was changed")

	s.keeping(silent)
	do("RemoveKey", `{"keyUuid":"card-1"}`).requireError(http.StatusGatewayTimeout, "outcome-unknown")
	s.clock.Advance(7 * time.Second)
	_, err := s.kernel.Do(t.Context(), 42, new(lock.Tick))
	require.NoError(t, err)
	require.Equal(t, []any{map[string]any{"uuid": "card-0", "onDevice": "yes"}, map[string]any{"uuid": "card-1", "onDevice": "maybe"}}, details()["keys"])
	do("RemoveKey", `{"keyUuid":"card-1"}`).requireError(http.StatusBadGateway, "device-offline")
	do("AddKey", `{"keyUuid":"card-3"}`).requireError(http.StatusBadGateway, "device-offline")

	s.keeping(obeys)
	require.Equal(t, http.StatusOK, do("RemoveKey", `{"keyUuid":"card-1"}`).status)
	require.Equal(t, []any{map[string]any{"uuid": "card-0", "onDevice": "yes"}}, details()["keys"])
}

func TestBulkAddKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLock(hotel)
	do := func(body string) *answer { return s.call("POST", "/locks/42/BulkAddKeys", body, as(hotel)) }
	require.Equal(t, http.StatusOK, s.call("POST", "/locks/42/AddKey", `{"keyUuid":"card-2"}`, as(hotel)).status)
	a := do(`{"keys":[{"keyUuid":"card-1","keyIndexNumber":1,"userId":"ann"},{"keyUuid":"card-2"},{"keyUuid":"card-3"}]}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	job := a.json()["instanceId"].(string)
	require.EqualValues(t, 42, a.json()["lockId"])
	progress := func() map[string]any {
		t.Helper()
		p := s.call("GET", "/locks/42/BulkAddKeys/"+job, "", as(hotel))
		require.Equal(t, http.StatusOK, p.status, p.body)
		return p.json()
	}
	p := progress()
	require.Equal(t, "running", p["status"])
	require.EqualValues(t, 3, p["total"])
	require.EqualValues(t, 0, p["done"])
	for range 4 {
		s.clock.Advance(2 * time.Millisecond)
		_, err := s.kernel.Do(t.Context(), 42, new(lock.Tick))
		require.NoError(t, err)
	}
	p = progress()
	require.Equal(t, "ended", p["status"])
	require.EqualValues(t, 3, p["done"])
	require.EqualValues(t, 0, p["failed"])
	require.Equal(t, []any{
		map[string]any{"keyUuid": "card-1", "keyIndexNumber": 1.0, "userId": "ann", "status": "added"},
		map[string]any{"keyUuid": "card-2", "status": "present"}, map[string]any{"keyUuid": "card-3", "status": "added"},
	}, p["keys"])

	s.call("GET", "/locks/42/BulkAddKeys/"+job, "", as(hostel)).requireError(http.StatusNotFound, "lock-not-found")
	s.call("GET", "/locks/42/BulkAddKeys/nope", "", as(hotel)).requireError(http.StatusNotFound, "instance-not-found")
	do(`{"keys":[]}`).requireError(http.StatusBadRequest, "keys-invalid")
	twice := do(`{"keys":[{"keyUuid":"a"},{"keyUuid":"b","keyIndexNumber":7},{"keyUuid":"c","keyIndexNumber":7}]}`).requireError(http.StatusBadRequest, "key-twice")
	require.Equal(t, "keys[2].keyIndexNumber", twice["field"])
	require.Equal(t, "keys[2] has the keyIndexNumber of keys[1]", twice["message"])
	v := do(`{"keys":[{"keyUuid":"a"},{"userId":"b"}]}`).requireError(http.StatusBadRequest, "field-missing")
	require.Equal(t, "keys[1].keyUuid", v["field"])
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprintf(`{"keyUuid":"card-%d"}`, 100+i)
	}
	do(`{"keys":[`+strings.Join(many, ",")+`]}`).requireError(http.StatusBadRequest, "keys-invalid")
	require.Equal(t, http.StatusOK, do(`{"keys":[`+strings.Join(many[:1000], ",")+`]}`).status)
}

func TestChangeLockUuid(t *testing.T) {
	t.Parallel()
	const replacement = "0b9d1c2e-5f6a-4b7c-8d9e-0f1a2b3c4d5e"
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	s.withKey(hotel, "")
	s.call("POST", "/locks/42/ChangeLockUuid", `{"newUuid":"`+replacement+`"}`, as(hotel)).requireError(http.StatusForbidden, "super-key-required")
	v := s.super("POST", "/locks/42/ChangeLockUuid", `{"newUuid":"nonsense"}`).requireError(http.StatusBadRequest, "uuid-invalid")
	require.Equal(t, "newUuid", v["field"])
	s.super("POST", "/locks/41/ChangeLockUuid", `{"newUuid":"`+replacement+`"}`).requireError(http.StatusNotFound, "lock-not-found")
	s.super("POST", "/locks/43/CreateLock", `{"index":1,"uuid":"11111111-5f6a-4b7c-8d9e-0f1a2b3c4d5e"}`)
	v = s.super("POST", "/locks/42/ChangeLockUuid", `{"newUuid":"11111111-5f6a-4b7c-8d9e-0f1a2b3c4d5e"}`).requireError(http.StatusConflict, "device-uuid-taken")
	require.Equal(t, "newUuid", v["field"])

	a := s.super("POST", "/locks/42/ChangeLockUuid", `{"newUuid":"`+strings.ToUpper(replacement)+`"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.JSONEq(t, `{"success":true,"aggregateId":"42","version":3,"event":{"type":"LockUuidChanged","data":{"lockId":42,"uuid":"`+replacement+`",
		"timestamp":"2026-05-01T10:00:00.000Z","newUuid":"`+replacement+`","previousUuid":"`+deviceUUID+`"}}}`, a.body)
	info := s.call("GET", "/locks/42/basic-info", "", as(hotel)).json()
	require.Equal(t, replacement, info["uuid"])
	require.Equal(t, false, info["online"])
	require.Nil(t, s.super("POST", "/locks/42/ChangeLockUuid", `{"newUuid":"`+replacement+`"}`).json()["event"])
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/ChangeLockUuid", `{"newUuid":"`+deviceUUID+`"}`).status, "the old one is still this lock's")

	require.NoError(t, s.kernel.connect(42, nil))
	s.call("POST", "/temp-keys/"+keyUUID+"/open", "")
	s.super("POST", "/locks/42/ChangeLockUuid", `{"newUuid":"`+replacement+`"}`).requireError(http.StatusServiceUnavailable, "commands-under-way")
}

func TestSetConfig(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.call("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`"}`, as(hotel))
	config := func() any { return s.call("GET", "/locks/42/details", "", as(hotel)).json()["config"] }
	require.Nil(t, config())
	a := s.call("POST", "/locks/42/SetConfig", `{"relockMs":5000}`, as(hotel))
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "ConfigSet", a.json()["event"].(map[string]any)["type"])
	require.Equal(t, map[string]any{"number": 2.0, "relockMs": 5000.0, "applied": false}, config())
	require.NoError(t, s.kernel.connect(42, opens))
	require.Equal(t, http.StatusOK, s.call("POST", "/locks/42/SetConfig", `{"relockMs":7000}`, as(hotel)).status)
	require.Equal(t, map[string]any{"number": 3.0, "relockMs": 7000.0, "applied": true}, config())
	for _, bad := range []string{`{"relockMs":499}`, `{"relockMs":600001}`} {
		s.call("POST", "/locks/42/SetConfig", bad, as(hotel)).requireError(http.StatusBadRequest, "relock-invalid")
	}
}

func TestUseTempKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	s.withKey(hotel, `,"maxUses":2`)
	use := func(body string) *answer { return s.call("POST", "/locks/42/use-temp-key", body, as(hotel)) }
	a := use(`{"tempKeyUuid":"` + keyUUID + `","userId":"ann"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.JSONEq(t, `{"success":true,"aggregateId":"42","version":3,"event":{"type":"TempKeyUsed","data":{"tempKeyUuid":"`+keyUUID+`","lockId":42,
		"lockUuid":"`+deviceUUID+`","userId":"ann","usedCount":1,"timestamp":"2026-05-01T10:00:00.000Z"}}}`, a.body)
	require.Equal(t, http.StatusOK, use(`{"tempKeyUuid":"`+keyUUID+`"}`).status)
	use(`{"tempKeyUuid":"`+keyUUID+`"}`).requireError(http.StatusBadRequest, "temp-key-used-up")
	use(`{"tempKeyUuid":"`+replacementKey+`"}`).requireError(http.StatusNotFound, "temp-key-not-found")
	use(`{"tempKeyUuid":"nonsense"}`).requireError(http.StatusBadRequest, "temp-key-uuid-invalid")
	require.Zero(t, s.kernel.opens, "the door is not opened")
	require.Equal(t, "used-up", s.call("GET", "/locks/42/temp-keys", "", as(hotel)).json()["tempKeys"].([]any)[0].(map[string]any)["status"])
}

const replacementKey = "4d0e8c3a-5a0f-4a53-8f0b-5f3c2f1f7a10"
