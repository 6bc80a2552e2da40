package api_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/journal" //nolint:depguard // the tests look at what is stored
	"github.com/latchkey/latchkey/lock"
)

// withDoors creates locks 42 and 43 of an organisation, and a key for both; the second door takes the code only.
func (s *server) withDoors(key string) (uuid, pin string) {
	s.t.Helper()
	s.withLock(key)
	a := s.call("POST", "/locks/43/CreateLock", `{"index":2,"uuid":"7f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b"}`, as(key))
	require.Equal(s.t, http.StatusCreated, a.status, a.body)
	a = s.call("POST", "/temp-keys", `{"validFrom":"2026-05-01T12:00:00+02:00","validUntil":"2026-05-03T11:00:00Z","description":"the Fosters",
		"doors":[{"lockId":"42","label":"House <door>","accessMethod":"both"},{"lockId":"43","accessMethod":"code"}]}`, as(key))
	require.Equal(s.t, http.StatusCreated, a.status, a.body)
	v := a.json()
	require.Equal(s.t, "2026-05-01T10:00:00.000Z", v["validFrom"])
	require.Equal(s.t, s.url+"/temp-keys/"+v["uuid"].(string), v["url"])
	door := v["doors"].([]any)[1].(map[string]any)
	require.Regexp(s.t, `^[0-9a-f-]{36}$`, door["tempKeyUuid"])
	delete(door, "tempKeyUuid")
	require.Equal(s.t, map[string]any{
		"id": 2.0, "lockId": "43", "lockUuid": "7f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b", "label": nil, "accessMethod": "code",
	}, door)
	require.Regexp(s.t, `^\d{6}$`, v["pin"])
	return v["uuid"].(string), v["pin"].(string)
}

func (s *server) pin(lock, pin string) *answer {
	return s.call("POST", "/locks/"+lock+"/open-with-pin", `{"pin":"`+pin+`"}`)
}

func TestAGuestOpensOneOfSeveralDoors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	key, pin := s.withDoors(s.orgKey("hotel-9"))
	for _, prefix := range []string{"/temp-keys/", "/collective-temp-keys/"} {
		page := s.call("GET", prefix+key, "")
		require.Equal(t, http.StatusOK, page.status)
		require.Contains(t, page.body, `data-status="valid"`)
		require.Contains(t, page.body, `data-pin="`+pin+`"`)
		require.Contains(t, page.body, "House &lt;door&gt;")
		require.Contains(t, page.body, `action="/temp-keys/`+key+`/doors/1/open"`)
		require.NotContains(t, page.body, `/doors/2/open`, "it takes the code only")

		a := s.call("POST", prefix+key+"/doors/1/open", "")
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
		to := a.header.Get("Location")
		require.Regexp(t, "^/temp-keys/"+key+`/confirmation\?offline=false&request=[^&]+&door=1$`, to)
		for _, address := range []string{to, "/collective-" + to[1:]} {
			page = s.call("GET", address, "")
			require.Equal(t, http.StatusOK, page.status)
			require.Contains(t, page.body, `data-outcome="opened"`)
			require.Contains(t, page.body, `href="/temp-keys/`+key+`"`, "back to all the doors")
			require.Contains(t, page.body, `<bdi>House &lt;door&gt;</bdi>`, "the door is called what it was called before")
		}
		s.call("POST", prefix+key+"/doors/2/open", "", header("Accept", "application/json")).requireError(http.StatusForbidden, "door-needs-code")
		s.call("POST", prefix+key+"/doors/3/open", "", header("Accept", "application/json")).requireError(http.StatusNotFound, "door-not-found")
		for _, door := range []string{"x", "0", "01", "+1", "-1"} {
			s.call("POST", prefix+key+"/doors/"+door+"/open", "", header("Accept", "application/json")).requireError(http.StatusBadRequest, "door-invalid")
		}
		s.call("POST", prefix+uuid.NewString()+"/doors/1/open", "", header("Accept", "application/json")).requireError(http.StatusNotFound, "temp-key-not-found")
	}
	require.Equal(t, http.StatusSeeOther, s.call("POST", "/temp-keys/"+key+"/open", "").status, "the first door")
	require.Equal(t, 3, s.kernel.opens)
}

// An organisation that has a lock since takes its door off the keys of others. The other doors go on.
func TestADoorThatWasTakenOffTheKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	key, _ := s.withDoors(hotel)
	page := "/temp-keys/" + key
	s.kernel.trouble = func() error { return api.ErrUnavailable }
	away := s.call("GET", page, "").body
	require.Equal(t, 2, strings.Count(away, "cannot be asked right now"))
	require.Contains(t, away, page+"/doors/1/open", "it may be there again in a moment")
	s.kernel.trouble = nil

	part := s.call("GET", "/locks/42/temp-keys", "", as(hotel)).json()["tempKeys"].([]any)[0].(map[string]any)["uuid"].(string)
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/SetOrganization", `{"orgId":"hostel-2"}`).status)
	require.Equal(t, http.StatusOK, s.call("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+part+`"}`, as(hostel)).status)
	body := s.call("GET", page, "").body
	require.Contains(t, body, "was taken off the key")
	require.NotContains(t, body, "cannot be asked right now")
	require.NotContains(t, body, "<button")
	require.NotContains(t, body, "code or button")
	require.Contains(t, body, "<small>code</small>", "the other door takes it still")
	s.call("POST", page+"/doors/1/open", "", header("Accept", "application/json")).requireError(http.StatusNotFound, "door-not-found")

	require.Equal(t, http.StatusOK, s.call("DELETE", page, "", as(hotel)).status)
	s.call("POST", page+"/doors/1/open", "", header("Accept", "application/json")).requireError(http.StatusNotFound, "temp-key-not-found")
}

func TestAKeyOfOneLockHasOneDoor(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	s.withKey(hotel, "")
	require.Equal(t, http.StatusSeeOther, s.call("POST", "/temp-keys/"+keyUUID+"/doors/1/open", "").status)
	s.call("POST", "/temp-keys/"+keyUUID+"/doors/2/open", "", header("Accept", "application/json")).requireError(http.StatusNotFound, "door-not-found")
	a := s.call("DELETE", "/temp-keys/"+keyUUID, "", as(hotel))
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, http.StatusNotFound, s.call("GET", "/temp-keys/"+keyUUID, "").status)
	s.call("DELETE", "/temp-keys/"+keyUUID, "", as(hotel)).requireError(http.StatusNotFound, "temp-key-not-found")
}

func TestCodesOpenAndAreRefusedAlike(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	key, pin := s.withDoors(hotel)
	a := s.pin("42", pin)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, true, a.json()["success"])
	require.Equal(t, "opened", a.json()["outcome"])

	// Whatever is the matter, the answer is the same, but for the ID of the request, and comes when it always does.
	wrong := fmt.Sprintf("%06d", (mustNumber(t, pin)+1)%1_000_000)
	requestID := regexp.MustCompile(`"requestId":"[^"]*"`)
	refusal := ""
	for _, try := range [][2]string{{"42", wrong}, {"42", "0000"}, {"42", "12345678"}, {"77", pin}} {
		asked := time.Now()
		a := s.pin(try[0], try[1])
		require.GreaterOrEqual(t, time.Since(asked), 300*time.Millisecond)
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.Equal(t, "Invalid PIN", a.json()["error"])
		body := requestID.ReplaceAllString(a.body, "")
		if refusal == "" {
			refusal = body
		}
		require.Equal(t, refusal, body)
	}
	for _, bad := range []string{"", "123", "123456789", "12a4", "１２３４"} {
		s.pin("42", bad).requireError(http.StatusBadRequest, "pin-invalid")
	}

	// Three were wrong. The fifth locks the panel, and not even the right one is looked at.
	require.Equal(t, http.StatusUnauthorized, s.pin("42", wrong).status)
	require.Equal(t, http.StatusUnauthorized, s.pin("42", wrong).status)
	for _, any := range []string{wrong, pin} {
		a := s.pin("42", any)
		a.requireError(http.StatusTooManyRequests, "panel-locked")
		require.Equal(t, "30", a.header.Get("Retry-After"))
	}
	s.clock.Advance(30 * time.Second)
	require.Equal(t, http.StatusOK, s.pin("42", pin).status)

	require.Equal(t, http.StatusOK, s.call("DELETE", "/collective-temp-keys/"+key, "", as(hotel)).status)
	require.Equal(t, http.StatusUnauthorized, s.pin("42", pin).status)
	require.Contains(t, s.call("GET", "/locks/42/events", "", as(hotel)).body, `"PINWasWrong"`)
	require.NotContains(t, s.logs.String(), pin)
}

func TestTheAnswerToACodeSaysWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	_, pin := s.withDoors(s.orgKey("hotel-9"))
	open := func(requestID string) map[string]any {
		t.Helper()
		a := s.call("POST", "/locks/43/open-with-pin", `{"pin":"`+pin+`","requestId":"`+requestID+`"}`)
		require.Equal(t, http.StatusOK, a.status, a.body)
		return a.json()
	}
	require.Subset(t, open("away"), map[string]any{"success": true, "outcome": "reserved", "reason": "device-offline"})
	s.clock.Advance(11 * time.Second)
	_, err := s.kernel.Do(t.Context(), 43, &lock.Tick{})
	require.NoError(t, err)
	late := open("away")
	require.Subset(t, late, map[string]any{"success": false, "outcome": "expired", "reason": "device-offline"})
	require.NotEmpty(t, late["message"])

	require.NoError(t, s.kernel.connect(43, jams))
	require.Subset(t, open("stuck"), map[string]any{"success": false, "outcome": "refused", "reason": "jammed", "message": "the bolt is stuck"})
	require.NoError(t, s.kernel.connect(43, func(id lock.CommandID) *lock.AnswerOpen {
		return &lock.AnswerOpen{Session: lock.Session{Node: "n1", ID: 1}, CommandID: id, Executed: lock.NotExecuted, Code: "LowBattery"}
	}))
	require.Subset(t, open("silent"), map[string]any{"success": false, "outcome": "refused", "reason": "low-battery", "message": "The lock did not open."})
	require.NoError(t, s.kernel.connect(43, opens))
	opened := open("fine")
	require.Subset(t, opened, map[string]any{"success": true, "outcome": "opened"})
	require.NotContains(t, opened, "reason")
	require.NotContains(t, opened, "message")
}

// The events of a door name its temporary key. Whose that was has to be known also when the key is revoked.
func TestACollectiveKeyNamesTheKeysOfItsDoors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	key, pin := s.withDoors(hotel)
	require.Equal(t, http.StatusOK, s.pin("42", pin).status)
	parts := func() (uuids []string) {
		for _, door := range s.call("GET", "/temp-keys", "", as(hotel)).json()["tempKeys"].([]any)[0].(map[string]any)["doors"].([]any) {
			uuids = append(uuids, door.(map[string]any)["tempKeyUuid"].(string))
		}
		return uuids
	}
	before := parts()
	require.Len(t, before, 2)
	require.Equal(t, before[0], s.call("GET", "/locks/42/temp-keys", "", as(hotel)).json()["tempKeys"].([]any)[0].(map[string]any)["uuid"])
	require.Equal(t, http.StatusOK, s.call("DELETE", "/temp-keys/"+key, "", as(hotel)).status)
	require.Equal(t, before, parts())
	for _, e := range s.call("GET", "/locks/42/events", "", as(hotel)).json()["events"].([]any) {
		if e := e.(map[string]any); e["type"] == "LockOpened" {
			require.Equal(t, []any{before[0]}, e["event"].(map[string]any)["tempKeyUuids"])
		}
	}
}

func TestDoorsOfCollectiveKeysSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	key, pin := s.withDoors(hotel)
	s.clock.Advance(time.Millisecond) // so that the list has it last
	s.withKey(hotel, "")
	list := func(lockID string, who option) []map[string]any {
		t.Helper()
		a := s.call("GET", "/locks/"+lockID+"/temp-keys", "", who)
		require.Equal(t, http.StatusOK, a.status, a.body)
		var keys []map[string]any
		for _, k := range a.json()["tempKeys"].([]any) {
			keys = append(keys, k.(map[string]any))
		}
		return keys
	}
	for _, who := range []option{as(hotel), as(superKey)} {
		keys := list("42", who)
		require.Subset(t, keys[0], map[string]any{"collectiveKeyUuid": key, "accessMethod": "both"})
		require.NotContains(t, keys[1], "collectiveKeyUuid")
		require.NotContains(t, keys[1], "accessMethod")
		require.Subset(t, list("43", who)[0], map[string]any{"collectiveKeyUuid": key, "accessMethod": "code"})
	}
	part := list("43", as(hotel))[0]["uuid"].(string)

	// Others whose lock it is learn that it is a door, and not the link that opens the other ones.
	s.call("POST", "/locks/43/SetOwner", `{"userId":"hotel-9"}`, as(hotel))
	hostel := s.orgKey("hostel-2")
	s.super("POST", "/locks/43/SetOrganization", `{"orgId":"hostel-2"}`)
	for _, who := range []option{as(hostel), bearer(token(t, "hotel-9"))} {
		door := list("43", who)[0]
		require.Equal(t, "code", door["accessMethod"])
		require.NotContains(t, door, "collectiveKeyUuid")
		all := s.call("GET", "/locks/temp-keys?createdBy=hotel-9&lockId=43", "", who)
		require.Contains(t, all.body, part)
		require.NotContains(t, all.body, key)
	}

	// The page of a door that takes the code only has no button that would be refused.
	page := s.call("GET", "/temp-keys/"+part, "")
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, page.body, "opened with the code, at the door")
	require.NotContains(t, page.body, "<button")
	require.NotContains(t, page.body, "can open the door")
	require.NotContains(t, page.body, pin)
	s.clock.Advance(72 * time.Hour)
	require.Contains(t, s.call("GET", "/temp-keys/"+part, "").body, "stopped working")
}

func mustNumber(t *testing.T, s string) (n int) {
	t.Helper()
	_, err := fmt.Sscanf(s, "%d", &n)
	require.NoError(t, err)
	return n
}

func TestCollectiveKeysAreListedAndRevoked(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	key, pin := s.withDoors(hotel)
	other := s.call("POST", "/collective-temp-keys", `{"validFrom":"2026-05-01T12:00:00Z","validUntil":"2026-05-03T11:00:00Z","doors":[{"lockId":"43"}]}`, as(hotel)).json()
	require.Nil(t, other["pin"])
	list := func(query string, who string) []any {
		a := s.call("GET", "/temp-keys"+query, "", as(who))
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.NotContains(t, a.body, pin)
		return a.json()["tempKeys"].([]any)
	}
	require.Len(t, list("", hotel), 2)
	require.Empty(t, list("", hostel))
	require.Len(t, list("?lockId=43", hotel), 2)
	only := list("?lockId=42", hotel)
	require.Len(t, only, 1)
	require.Equal(t, key, only[0].(map[string]any)["uuid"])
	require.Equal(t, "the Fosters", only[0].(map[string]any)["description"])
	a := s.call("GET", "/temp-keys?limit=1", "", as(hotel)).json()
	require.Len(t, a["tempKeys"], 1)
	require.Len(t, list("?limit=1&cursor="+a["nextCursor"].(string), hotel), 1)
	s.call("GET", "/temp-keys?limit=0", "", as(hotel)).requireError(http.StatusBadRequest, "limit-invalid")
	s.call("GET", "/temp-keys?cursor=%21", "", as(hotel)).requireError(http.StatusBadRequest, "cursor-invalid")

	// Its doors are temporary keys of their locks, and end with it only: for those who created it.
	parts := s.call("GET", "/locks/42/temp-keys", "", as(hotel)).json()["tempKeys"].([]any)
	require.Len(t, parts, 1)
	part := parts[0].(map[string]any)["uuid"].(string)
	s.call("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+part+`"}`, as(hotel)).requireError(http.StatusConflict, "part-of-collective-key")

	theirs := s.call("POST", "/locks/42/create-temp-key", `{`+aWindow+`}`, as(hotel)).json()["tempKeyUuid"].(string)
	for _, hidden := range []string{key, part, theirs, uuid.NewString()} {
		s.call("DELETE", "/temp-keys/"+hidden, "", as(hostel)).requireError(http.StatusNotFound, "temp-key-not-found")
	}
	require.Equal(t, http.StatusOK, s.call("DELETE", "/temp-keys/"+theirs, "", as(hotel)).status)
	for range 2 {
		a := s.call("DELETE", "/temp-keys/"+key, "", as(hotel))
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	require.NotNil(t, list("?lockId=42", hotel)[0].(map[string]any)["revokedAt"])
	page := s.call("GET", "/temp-keys/"+key, "")
	require.Contains(t, page.body, "was revoked")
	require.NotContains(t, page.body, pin)
	s.call("POST", "/temp-keys/"+key+"/doors/1/open", "", header("Accept", "application/json")).requireError(http.StatusNotFound, "temp-key-not-found")
	require.Empty(t, s.call("GET", "/locks/42/temp-keys", "", as(hotel)).json()["tempKeys"])
}

// A list of a few keys out of many costs what is looked at, in pages that end when that was enough.
func TestAListOfCollectiveKeysIsBounded(t *testing.T) {
	t.Parallel()
	const many, scanned, perToken, burst = 2100, 2000, 8, 500
	s := newServer(t, limited(api.Rates{Caller: api.Rate{PerSecond: 1, Burst: burst}}))
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	a := s.call("POST", "/temp-keys", `{"validFrom":"2026-05-01T12:00:00Z","validUntil":"2026-05-03T11:00:00Z","doors":[{"lockId":"42"}]}`, as(hotel))
	require.Equal(t, http.StatusCreated, a.status, a.body)
	s.copyCollectiveKey(a.json()["uuid"].(string), "org/hotel-9", many-1)
	list := func(query string) (found int, next string) {
		t.Helper()
		a := s.call("GET", "/temp-keys"+query, "", as(hotel))
		require.Equal(t, http.StatusOK, a.status, a.body)
		next, _ = a.json()["nextCursor"].(string)
		return len(a.json()["tempKeys"].([]any)), next
	}
	requireLeft := func(left int) {
		t.Helper()
		a := s.call("GET", "/locks/42/details", "", as(hotel))
		require.Equal(t, fmt.Sprintf(`"caller";r=%d;t=1`, left), a.header.Get("RateLimit"))
	}
	s.clock.Advance(time.Hour)
	found, next := list("?limit=1&lockId=77")
	require.Zero(t, found)
	require.NotEmpty(t, next)
	left := burst - scanned/perToken - 2 // the call itself, and the question
	requireLeft(left)
	found, next = list("?limit=1&lockId=77&cursor=" + next)
	require.Zero(t, found)
	require.Empty(t, next)
	requireLeft(left - (many-scanned)/perToken - 2)

	s.clock.Advance(time.Hour)
	found, next = list("")
	require.Equal(t, many, found, "who asks for no pages gets one")
	require.Empty(t, next)
	requireLeft(burst - many/perToken - 2)
}

// copyCollectiveKey puts as many copies of a key into a list.
func (s *server) copyCollectiveKey(key, list string, copies int) {
	s.t.Helper()
	records, err := s.journal.Read(s.t.Context(), "collective/"+key, 0, 10)
	require.NoError(s.t, err)
	for range copies {
		fresh := uuid.NewString()
		a := journal.Append{Stream: "collective/" + fresh, ID: fresh, Index: []journal.IndexChange{{Op: journal.Put, Kind: "collective-key", Key: list, Ref: fresh}}}
		for _, r := range records {
			data := []byte(strings.ReplaceAll(string(r.Data), key, fresh))
			a.Records = append(a.Records, journal.NewRecord{Type: r.Type, Time: r.Time, Data: data})
		}
		_, err := journal.Do(s.t.Context(), s.journal, a)
		require.NoError(s.t, err)
	}
}

func TestBadCollectiveKeysAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withDoors(hotel)
	const window = `"validFrom":"2026-05-01T12:00:00Z","validUntil":"2026-05-03T11:00:00Z"`
	for reason, body := range map[string]string{
		"doors-invalid":         `{` + window + `,"doors":[]}`,
		"lock-id-invalid":       `{` + window + `,"doors":[{"lockId":"042"}]}`,
		"door-named-twice":      `{` + window + `,"doors":[{"lockId":"42"},{"lockId":"42"}]}`,
		"access-method-invalid": `{` + window + `,"doors":[{"lockId":"42","accessMethod":"knock"}]}`,
		"instant-invalid":       `{"validFrom":"0001-01-01T00:00:00+23:59","validUntil":"2026-05-01T12:00:00Z","doors":[{"lockId":"42"}]}`,
		"window-empty":          `{"validFrom":"2026-05-01T12:00:00Z","validUntil":"2026-05-01T12:00:00Z","doors":[{"lockId":"42"}]}`,
	} {
		v := s.call("POST", "/temp-keys", body, as(hotel))
		v.requireError(http.StatusBadRequest, reason)
	}
	missing := s.call("POST", "/temp-keys", `{`+window+`,"doors":[{"lockId":"42"},{"lockId":"99"}]}`, as(hotel)).requireError(http.StatusNotFound, "lock-not-found")
	require.Equal(t, "doors[1].lockId", missing["field"])
	require.Equal(t, "Lock 99: There is no such lock, or it belongs to somebody else.", missing["message"])
	calls := 0
	s.kernel.trouble = func() error { // the kernel's own mutex guards it
		if calls++; calls == 3 { // after it was asked for both of them
			return &lock.Error{Kind: lock.Conflict, Reason: "too-many-temp-keys", Message: "It is full."}
		}
		return nil
	}
	full := s.call("POST", "/temp-keys", `{`+window+`,"doors":[{"lockId":"43"},{"lockId":"42"}]}`, as(hotel)).requireError(http.StatusConflict, "too-many-temp-keys")
	s.kernel.trouble = nil
	require.Contains(t, []string{"doors[0].lockId Lock 43: It is full.", "doors[1].lockId Lock 42: It is full."}, fmt.Sprint(full["field"], " ", full["message"]))
	require.Equal(t, http.StatusBadRequest, s.call("POST", "/temp-keys", `{`+window+`,"doors":[{"lockId":null}]}`, as(hotel)).status)
	require.Len(t, s.call("GET", "/locks/42/temp-keys", "", as(hotel)).json()["tempKeys"], 1)
	many := strings.Repeat(`{"lockId":"42"},`, 50) + `{"lockId":"43"}`
	s.call("POST", "/temp-keys", `{`+window+`,"doors":[`+many+`]}`, as(hotel)).requireError(http.StatusBadRequest, "doors-invalid")
}

// requireInvalidPIN checks the one refusal that codes get.
func (a *answer) requireInvalidPIN() {
	a.t.Helper()
	require.Equal(a.t, http.StatusUnauthorized, a.status, a.body)
	require.Equal(a.t, "Invalid PIN", a.json()["error"])
	require.Equal(a.t, "invalid-pin", a.json()["reason"])
}

// The body of a DELETE is looked at, since a request is carried out from when all of it is there.
func TestRevokingTakesNoBody(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	acme := s.orgKey("acme")
	uuid, _ := s.withDoors(acme)
	s.call("DELETE", "/temp-keys/"+uuid, `{"reason":"left"}`, as(acme)).requireError(http.StatusBadRequest, "field-unknown")
	require.Equal(t, http.StatusOK, s.call("DELETE", "/temp-keys/"+uuid, `{}`, as(acme)).status)
}
