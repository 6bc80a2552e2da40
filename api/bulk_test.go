package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const aWindow = `"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z"`

// bulkKey is an item of a bulk call that creates keys.
func bulkKey(lockID int, more string) string {
	return fmt.Sprintf(`{"lockId":%d,"tempKey":{%s%s}}`, lockID, aWindow, more)
}

func uuidNamed(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// withLocks creates the locks 1 to n of the caller.
func (s *server) withLocks(key string, n int) {
	s.t.Helper()
	for id := 1; id <= n; id++ {
		body := fmt.Sprintf(`{"index":%d,"uuid":"00000000-0000-4000-9000-%012d"}`, id, id)
		require.Equal(s.t, http.StatusCreated, s.call("POST", fmt.Sprintf("/locks/%d/CreateLock", id), body, as(key)).status)
	}
}

func itemsOf(a *answer) []map[string]any {
	a.t.Helper()
	require.Equal(a.t, http.StatusOK, a.status, a.body)
	var items []map[string]any
	for _, item := range a.json()["items"].([]any) {
		items = append(items, item.(map[string]any))
	}
	return items
}

func TestManyKeysInOneCall(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLocks(hotel, 3)
	s.withLock(hostel) // 42
	named := func(n int) string { return `,"tempKeyUuid":"` + uuidNamed(n) + `"` }
	body := `{"items":[` + strings.Join([]string{
		bulkKey(1, named(1)), bulkKey(2, ""), bulkKey(1, named(1)), bulkKey(42, ""), bulkKey(7, ""), bulkKey(3, `,"maxUses":3`),
		bulkKey(1, `,"tempKeyUuid":"x"`), bulkKey(1, named(2)+`,"schedule":{"timeZone":"Mars/Base","rules":[]}`), bulkKey(0, ""),
		bulkKey(2, named(3)),
	}, ",") + `]}`
	a := s.call("POST", "/bulk/create-temp-keys", body, as(hotel))
	items := itemsOf(a)
	var got []string
	for _, item := range items {
		got = append(got, fmt.Sprint(item["status"], " ", item["reason"]))
	}
	require.Equal(t, []string{
		"200 <nil>", "200 <nil>", "400 temp-key-twice", "404 lock-not-found", "404 lock-not-found", "200 <nil>",
		"400 temp-key-uuid-invalid", "400 time-zone-unknown", "400 lock-id-invalid", "200 <nil>",
	}, got)
	require.Equal(t, "schedule.timeZone", items[7]["field"])
	require.Equal(t, false, a.json()["success"])
	require.EqualValues(t, 4, a.json()["succeeded"])
	require.EqualValues(t, 6, a.json()["failed"])
	require.EqualValues(t, 2, items[0]["version"])
	require.EqualValues(t, 3, items[9]["version"], "two keys of lock 2 in one step")
	require.Equal(t, true, items[0]["changed"])
	require.Equal(t, s.url+"/temp-keys/"+uuidNamed(1), items[0]["url"])
	require.Equal(t, http.StatusOK, s.call("GET", "/temp-keys/"+items[1]["tempKeyUuid"].(string), "", header("Accept", "text/html")).status)

	// Sent again it changes nothing where the UUID was named.
	items = itemsOf(s.call("POST", "/bulk/create-temp-keys", `{"items":[`+bulkKey(1, named(1))+`]}`, as(hotel)))
	require.Equal(t, false, items[0]["changed"])
	require.EqualValues(t, 200, items[0]["status"])

	// A UUID of another lock fails alone.
	items = itemsOf(s.call("POST", "/bulk/create-temp-keys", `{"items":[`+bulkKey(3, named(4))+","+bulkKey(3, named(1))+","+bulkKey(3, named(5))+`]}`, as(hotel)))
	require.EqualValues(t, 200, items[0]["status"])
	require.Equal(t, "temp-key-uuid-taken", items[1]["reason"])
	require.EqualValues(t, 200, items[2]["status"])

	change := func(lockID, key int, changes string) string {
		return fmt.Sprintf(`{"lockId":%d,"changes":{"tempKeyUuid":"%s"%s}}`, lockID, uuidNamed(key), changes)
	}
	a = s.call("POST", "/bulk/update-temp-keys", `{"items":[`+strings.Join([]string{
		change(1, 1, `,"validUntil":"2026-05-03T10:00:00Z"`), change(2, 3, `,"validFrom":"2026-05-02T09:00:00Z","maxUses":9`),
		change(2, 9, `,"maxUses":9`), change(3, 4, ``), change(3, 5, `,"validUntil":"2026-04-03T10:00:00Z"`),
	}, ",")+`]}`, as(hotel))
	got = nil
	for _, item := range itemsOf(a) {
		got = append(got, fmt.Sprint(item["status"], " ", item["reason"]))
	}
	require.Equal(t, []string{"200 <nil>", "200 <nil>", "404 temp-key-not-found", "400 nothing-to-change", "400 window-empty"}, got)
	list := s.call("GET", "/locks/1/temp-keys", "", as(hotel)).json()["tempKeys"].([]any)[0].(map[string]any)
	require.Equal(t, "2026-05-03T10:00:00.000Z", list["validUntil"])
	require.Equal(t, "2026-05-01T10:00:00.000Z", list["validFrom"], "what is not named stays")
	require.Equal(t, s.url+"/temp-keys/"+uuidNamed(1), list["url"], "the link stays")
}

func TestOneNewKeyForSeveralLocks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLocks(hotel, 8)
	for round := range 5 {
		named := `,"tempKeyUuid":"` + uuidNamed(round) + `"`
		list := []string{bulkKey(0, named), bulkKey(5, named), bulkKey(5, named)}
		for id := range 8 {
			list = append(list, bulkKey(id+1, named))
		}
		items := itemsOf(s.call("POST", "/bulk/create-temp-keys", `{"items":[`+strings.Join(list, ",")+`]}`, as(hotel)))
		require.Equal(t, "lock-id-invalid", items[0]["reason"])
		require.EqualValues(t, http.StatusOK, items[1]["status"], "the first one of a lock that there can be")
		for _, item := range items[2:] {
			require.Equal(t, "temp-key-twice", item["reason"], item)
		}
	}

	// A change is of the lock that has the key, whichever it is named for first.
	change := `{"lockId":%d,"changes":{"tempKeyUuid":"` + uuidNamed(0) + `","maxUses":9}}`
	items := itemsOf(s.call("POST", "/bulk/update-temp-keys", `{"items":[`+fmt.Sprintf(change+","+change, 4, 5)+`]}`, as(hotel)))
	require.Equal(t, "temp-key-not-found", items[0]["reason"])
	require.EqualValues(t, http.StatusOK, items[1]["status"])
}

// TestManyKeysOfSomebodyElse: in a bulk call a lock of somebody else does not exist either.
func TestManyKeysOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s, _ := newEstate(t)
	for _, who := range []option{as(s.orgKey("hostel-2")), bearer(token(t, "eve"))} {
		for _, operation := range []string{"CreateTempKeys", "UpdateTempKeys"} {
			path := map[string]string{"CreateTempKeys": "/bulk/create-temp-keys", "UpdateTempKeys": "/bulk/update-temp-keys"}[operation]
			there := itemsOf(s.call("POST", path, bodies[operation], who))
			absent := itemsOf(s.call("POST", path, strings.Replace(bodies[operation], "42", "43", 1), who))
			for _, field := range []string{"status", "reason", "message"} {
				require.Equal(t, absent[0][field], there[0][field])
			}
			require.EqualValues(t, http.StatusNotFound, there[0]["status"])
			require.NotContains(t, there[0], "url")
		}
	}
}

func TestBulkBounds(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLocks(superKey, 1)
	s.super("POST", "/bulk/create-temp-keys", `{"items":[]}`).requireError(http.StatusBadRequest, "bulk-size-invalid")
	many := strings.Repeat(bulkKey(1, "")+",", 500)
	items := itemsOf(s.super("POST", "/bulk/create-temp-keys", `{"items":[`+strings.TrimSuffix(many, ",")+`]}`))
	require.Len(t, items, 500)
	require.EqualValues(t, 501, items[499]["version"])
	s.super("POST", "/bulk/create-temp-keys", `{"items":[`+many+bulkKey(1, "")+`]}`).requireError(http.StatusBadRequest, "bulk-size-invalid")
	s.super("POST", "/bulk/create-temp-keys", `{"items":[`+bulkKey(1, `,"description":"`+strings.Repeat("x", 1<<20)+`"`)+`]}`).
		requireError(http.StatusRequestEntityTooLarge, "body-too-large")
	s.super("POST", "/bulk/create-temp-keys", `{"items":[`+strings.Repeat("5,", 500)+`5]}`).requireError(http.StatusBadRequest, "bulk-size-invalid")
}

// An item that cannot be read is refused by itself; of a body that cannot be read nothing is done.
func TestUnreadableItemsInOneCall(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLocks(superKey, 2)
	bad := []struct{ item, field, reason string }{
		{bulkKey(2, `,"maxUses":0`), "maxUses", "max-uses-invalid"},
		{`{"lockId":2,"tempKey":{"accessMode":5}}`, "accessMode", "field-invalid"},
		{`{"tempKey":{"accessMode":"public","validFrom":"2026-05-01"},"lockId":2}`, "validFrom", "field-invalid"},
		{bulkKey(2, `,"schedule":{"timeZone":"UTC","rules":[{"days":["mon"],"from":"8:00","until":"9:00"}]}`), "schedule.rules[0].from", "clock-invalid"},
		{bulkKey(2, `,"x":{"y":["}",{"\"":[]}]}`), "x", "field-unknown"},
		{bulkKey(2, `,"maxUses":1,"maxUses":1`), "maxUses", "field-twice"},
		{bulkKey(2, `,"tempKeyUuid":""`), "tempKeyUuid", "temp-key-uuid-invalid"},
		{`{"lockId":2,"tempKey":{}}`, "accessMode", "field-missing"},
		{`{"lockId":2}`, "tempKey", "field-missing"},
		{`{"lockId":2,"tempKey":null}`, "tempKey", "field-invalid"},
		{`{"lockId":"2","tempKey":{}}`, "lockId", "field-invalid"},
		{`5`, "", "field-invalid"},
		{`[[]]`, "", "field-invalid"},
	}
	var all []string
	for _, c := range bad {
		all = append(all, bulkKey(1, ""), c.item)
	}
	items := itemsOf(s.super("POST", "/bulk/create-temp-keys", `{"items":[`+strings.Join(all, ", ")+` , `+bulkKey(1, "")+`]}`))
	require.Len(t, items, 2*len(bad)+1)
	for i, c := range bad {
		require.EqualValues(t, http.StatusOK, items[2*i]["status"], c.item)
		got := items[2*i+1]
		require.EqualValues(t, http.StatusBadRequest, got["status"], c.item)
		require.Equal(t, c.reason, got["reason"], c.item)
		require.NotContains(t, got, "url")
		if c.field == "" {
			require.NotContains(t, got, "field")
			continue
		}
		require.Equal(t, c.field, got["field"], c.item)
		if c.field != "lockId" {
			require.EqualValues(t, 2, got["lockId"], c.item)
		}
	}
	require.EqualValues(t, http.StatusOK, items[2*len(bad)]["status"])
	require.Equal(t, "items[3].tempKey.accessMode must be text", items[3]["message"])

	items = itemsOf(s.super("POST", "/bulk/update-temp-keys", `{"items":[{"lockId":1,"changes":{"tempKeyUuid":"`+items[0]["tempKeyUuid"].(string)+`","maxUses":7}},`+
		`{"lockId":1,"changes":{"tempKeyUuid":"`+uuidNamed(1)+`","validUntil":null}}]}`))
	require.EqualValues(t, http.StatusOK, items[0]["status"])
	require.Equal(t, "field-invalid", items[1]["reason"])
	require.Equal(t, "validUntil", items[1]["field"])

	for body, reason := range map[string]string{
		`{"items":[` + bulkKey(1, "") + `,{]}`:                      "json-invalid",
		`{"items":[` + bulkKey(1, `,"description":"\ud800"`) + `]}`: "json-invalid",
		`{"items":[` + bulkKey(1, "") + `],"atomic":true}`:          "field-unknown",
		`{"items":[` + bulkKey(1, "") + `],"items":[]}`:             "field-twice",
		`{"items":{}}`: "field-invalid", `{}`: "field-missing", `[]`: "json-invalid",
	} {
		s.super("POST", "/bulk/create-temp-keys", body).requireError(http.StatusBadRequest, reason)
	}
}
