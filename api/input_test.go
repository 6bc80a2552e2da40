package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLockIDs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, id := range []string{"x", "0", "-1", "+1", "01", "1.0", "1e3", "%201", "9007199254740992", "99999999999999999999", "%00", "1%2F2", "%D9%A1"} {
		v := s.super("GET", "/locks/"+id+"/temp-keys", "").requireError(http.StatusBadRequest, "lock-id-invalid")
		require.Equal(t, "id", v["field"])
		s.super("POST", "/locks/"+id+"/OpenLock", "").requireError(http.StatusBadRequest, "lock-id-invalid")
		s.super("POST", "/locks/"+id+"/SetOwner", `{"userId":"ann"}`).requireError(http.StatusBadRequest, "lock-id-invalid")
	}
	for _, id := range []string{"1", "9007199254740991", "%31"} {
		s.super("GET", "/locks/"+id+"/temp-keys", "").requireError(http.StatusNotFound, "lock-not-found")
	}
}

func TestBadBodies(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	const window = `"validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z"`
	for _, c := range []struct{ operation, body, reason, field string }{
		{"SetOwner", "", "body-missing", ""},
		{"SetOwner", "{", "json-invalid", ""},
		{"SetOwner", "[]", "json-invalid", ""},
		{"SetOwner", "null", "json-invalid", ""},
		{"SetOwner", `"x"`, "json-invalid", ""},
		{"SetOwner", `{"userId":"ann"`, "json-invalid", ""},
		{"SetOwner", `{"userId":"ann"}}`, "json-invalid", ""},
		{"SetOwner", `{"userId":"ann"} {}`, "json-invalid", ""},
		{"SetOwner", `{"userId":"ann",}`, "json-invalid", ""},
		{"SetOwner", `{userId:"ann"}`, "json-invalid", ""},
		{"SetOwner", "{\"userId\":\"\xff\"}", "json-invalid", ""},
		{"SetOwner", "\xef\xbb\xbf{}", "json-invalid", ""},
		{"SetOwner", `{"userId":"\ud800"}`, "json-invalid", ""},
		{"SetOwner", `{"userId":"x\uDC00\uD800"}`, "json-invalid", ""},
		{"SetOwner", `{"\ud83d\u0041":"ann"}`, "json-invalid", ""},
		{"SetOwner", `{}`, "field-missing", "userId"},
		{"SetOwner", `{"userId":""}`, "user-id-invalid", "userId"},
		{"SetOwner", `{"userId":[]}`, "field-invalid", "userId"},
		{"SetOwner", `{"userId":5}`, "field-invalid", "userId"},
		{"SetOwner", `{"userId":{"a":[[[[[[[[]]]]]]]]}}`, "field-invalid", "userId"},
		{"SetOwner", `{"userid":"ann"}`, "field-unknown", "userid"},
		{"SetOwner", `{"userId":"ann","orgId":"x"}`, "field-unknown", "orgId"},
		{"SetOwner", `{"userId":"ann","userId":"bob"}`, "field-twice", "userId"},
		{"SetOwner", `{"userId":"ann","user\u0049d":"bob"}`, "field-twice", "userId"},
		{"SetOwner", `{"userId":"` + strings.Repeat("x", 801) + `"}`, "user-id-invalid", "userId"},
		{"SetOrganization", `{"orgId":""}`, "org-id-invalid", "orgId"},
		{"CreateLock", `{"index":0,"uuid":"` + deviceUUID + `"}`, "index-invalid", "index"},
		{"CreateLock", `{"index":1.5,"uuid":"` + deviceUUID + `"}`, "field-invalid", "index"},
		{"CreateLock", `{"index":"1","uuid":"` + deviceUUID + `"}`, "field-invalid", "index"},
		{"CreateLock", `{"index":1e400,"uuid":"` + deviceUUID + `"}`, "field-invalid", "index"},
		{"CreateLock", `{"index":9223372036854775808,"uuid":"` + deviceUUID + `"}`, "field-invalid", "index"},
		{"CreateLock", `{"index":1,"uuid":"x"}`, "uuid-invalid", "uuid"},
		{"CreateLock", `{"index":1,"uuid":"{6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b}"}`, "uuid-invalid", "uuid"},
		{"CreateLock", `{"index":1,"uuid":"` + deviceUUID + `","serialNumber":"a b"}`, "serial-number-invalid", "serialNumber"},
		{"CreateLock", `{"index":1,"uuid":"` + deviceUUID + `","vendorName":"<b>"}`, "vendor-name-invalid", "vendorName"},
		{"CreateLock", `{"index":1,"uuid":"` + deviceUUID + `","keys":{}}`, "field-invalid", "keys"},
		{"CreateLock", `{"index":1,"uuid":"` + deviceUUID + `","keys":[{"indexNumber":1}]}`, "field-missing", "keys[0].uuid"},
		{"CreateLock", `{"index":1,"uuid":"` + deviceUUID + `","keys":[{"uuid":"a"},{"uuid":"b","x":1}]}`, "field-unknown", "keys[1].x"},
		{"CreateLock", `{"index":1,"uuid":"` + deviceUUID + `","keys":[{"uuid":"a"},{"uuid":"a"}]}`, "key-twice", "keys[1].uuid"},
		{"CreateLock", `{"index":1,"uuid":"` + deviceUUID + `","keys":[{"uuid":"a"},{"uuid":"b","indexNumber":-5}]}`, "key-index-invalid", "keys[1].indexNumber"},
		{"CreateLock", `{"index":1,"uuid":"` + deviceUUID + `","keys":[{"uuid":""}]}`, "key-uuid-invalid", "keys[0].uuid"},
		{"CreateLock", `{"index":1,"uuid":"` + deviceUUID + `","keys":[{"uuid":"a","userId":"\u0007"}]}`, "user-id-invalid", "keys[0].userId"},
		{"BulkAddKeys", `{"keys":[{"keyUuid":"a"},{"keyUuid":"b","keyIndexNumber":-5}]}`, "key-index-invalid", "keys[1].keyIndexNumber"},
		{"BulkAddKeys", `{"keys":[{"keyUuid":""}]}`, "key-uuid-invalid", "keys[0].keyUuid"},
		{"AddKey", `{"keyUuid":"a","keyIndexNumber":-5}`, "key-index-invalid", "keyIndexNumber"},
		{"ChangeLockUuid", `{"newUuid":"x"}`, "uuid-invalid", "newUuid"},
		{"create-temp-key", `{"accessMode":"public"}`, "field-missing", "validFrom"},
		{"create-temp-key", `{"accessMode":"all",` + window + `}`, "access-mode-invalid", "accessMode"},
		{"create-temp-key", `{"accessMode":"user-whitelist",` + window + `}`, "whitelist-empty", "allowedUserIds"},
		{"create-temp-key", `{"accessMode":"public","allowedUserIds":["a",1],` + window + `}`, "field-invalid", "allowedUserIds[1]"},
		{"create-temp-key", `{"accessMode":"public","description":"a\u0000b",` + window + `}`, "description-invalid", "description"},
		{"update-temp-key", `{"tempKeyUuid":"` + keyUUID + `","description":"a\u001bb"}`, "description-invalid", "description"},
		{"create-temp-key", `{"accessMode":"public","tempKeyUuid":"",` + window + `}`, "temp-key-uuid-invalid", "tempKeyUuid"},
		{"create-temp-key", `{"accessMode":"public","tempKeyUuid":"x",` + window + `}`, "temp-key-uuid-invalid", "tempKeyUuid"},
		{"create-temp-key", `{"accessMode":"public","maxUses":0,` + window + `}`, "max-uses-invalid", "maxUses"},
		{"create-temp-key", `{"accessMode":"public","maxUses":-1,` + window + `}`, "max-uses-invalid", "maxUses"},
		{"create-temp-key", `{"accessMode":"public","maxUses":9007199254740992,` + window + `}`, "max-uses-invalid", "maxUses"},
		{"create-temp-key", `{"accessMode":"public","maxUses":1.5,` + window + `}`, "field-invalid", "maxUses"},
		{"create-temp-key", `{"accessMode":"public","maxUses":"5",` + window + `}`, "field-invalid", "maxUses"},
		{"create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01","validUntil":"2026-05-02T10:00:00Z"}`, "field-invalid", "validFrom"},
		{"create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T10:00:00","validUntil":"2026-05-02T10:00:00Z"}`, "field-invalid", "validFrom"},
		{"create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T25:00:00Z","validUntil":"2026-05-02T10:00:00Z"}`, "field-invalid", "validFrom"},
		{"create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T10:00:00,5Z","validUntil":"2026-05-02T10:00:00Z"}`, "field-invalid", "validFrom"},
		{"create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T1:00:00Z","validUntil":"2026-05-02T10:00:00Z"}`, "field-invalid", "validFrom"},
		{"create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T10:00:00+24:00","validUntil":"2026-05-02T10:00:00Z"}`, "field-invalid", "validFrom"},
		{"create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T10:00:00+02:60","validUntil":"2026-05-02T10:00:00Z"}`, "field-invalid", "validFrom"},
		{"create-temp-key", `{"accessMode":"public","validFrom":1777629600,"validUntil":"2026-05-02T10:00:00Z"}`, "field-invalid", "validFrom"},
		{"create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-01T12:00:00+02:00"}`, "window-empty", "validUntil"},
		{"create-temp-key", `{"accessMode":"public","validFrom":"0000-01-01T00:00:00+14:00","validUntil":"2026-05-02T10:00:00Z"}`, "instant-invalid", "validFrom"},
		{"create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"9999-12-31T23:59:59-14:00"}`, "instant-invalid", "validUntil"},
		{"update-temp-key", `{"maxUses":5}`, "field-missing", "tempKeyUuid"},
		{"update-temp-key", `{"tempKeyUuid":"` + keyUUID + `","maxUses":0}`, "max-uses-invalid", "maxUses"},
		{"update-temp-key", `{"tempKeyUuid":"` + keyUUID + `","validUntil":null}`, "field-invalid", "validUntil"},
		{"update-temp-key", `{"tempKeyUuid":"` + keyUUID + `","usedCount":0}`, "field-unknown", "usedCount"},
		{"update-temp-key", `{"tempKeyUuid":"` + keyUUID + `","validUntil":"2026-05-01T10:00:00Z"}`, "window-empty", "validUntil"},
		{"delete-temp-key", `{"tempKeyUuid":""}`, "temp-key-uuid-invalid", "tempKeyUuid"},
		{"OpenLock", `{"requestId":"a b"}`, "request-id-invalid", "requestId"},
		{"OpenLock", `{"requestId":"` + strings.Repeat("x", 129) + `"}`, "request-id-invalid", "requestId"},
		{"OpenLock", `{"reason":"` + strings.Repeat("x", 501) + `"}`, "reason-too-long", "reason"},
		{"OpenLock", `{"force":true}`, "field-unknown", "force"},
	} {
		t.Run(c.operation+" "+c.body[:min(len(c.body), 60)], func(t *testing.T) {
			a := s.super("POST", "/locks/42/"+c.operation, c.body)
			a.t = t
			v := a.requireError(http.StatusBadRequest, c.reason)
			if c.field == "" {
				require.NotContains(t, v, "field")
			} else {
				require.Equal(t, c.field, v["field"])
			}
		})
	}
	require.Zero(t, s.kernel.opens)
}

// What callers get wrong most often is named.
func TestMessagesOfBadBodies(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	key := func(from string) string {
		return `{"accessMode":"public","validFrom":"` + from + `","validUntil":"2026-05-02T10:00:00Z"}`
	}
	for _, c := range []struct{ body, message string }{
		{"\xef\xbb\xbf" + key("2026-05-01T10:00:00Z"), "byte order mark"},
		{`{"description":"\ud800"}`, `the escape \ud800`},
		{key("2026-05-01T10:00:00"), "its offset is missing"},
		{key("2026-05-01t10:00:00.123"), "its offset is missing"},
		{`{` + aWindow + `,"schedule":{"timeZone":"europe/berlin","rules":[{"days":["mon"],"from":"08:00","until":"09:00"}]}}`, "letter case this one is Europe/Berlin"},
	} {
		require.Contains(t, s.super("POST", "/locks/42/create-temp-key", c.body).json()["message"], c.message)
	}
	for _, good := range []string{"2026-05-01t10:00:00z", "2026-05-01T10:00:00.123456789Z", "2026-05-01T10:00:00-23:59"} {
		require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/create-temp-key", key(good)).status, good)
	}
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/SetOwner", `{"userId":"\ud83d\ude00"}`).status, "a whole pair is a character")
}

func TestBodySizeAndType(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	large := `{"reason":"` + strings.Repeat("x", 64<<10) + `"}`
	s.super("POST", "/locks/42/OpenLock", large).requireError(http.StatusRequestEntityTooLarge, "body-too-large")
	chunked := func(r *http.Request) { r.ContentLength = -1 }
	s.super("POST", "/locks/42/OpenLock", large, chunked).requireError(http.StatusRequestEntityTooLarge, "body-too-large")
	fits := `{"requestId":"r1"}` + strings.Repeat(" ", 64<<10-18)
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/OpenLock", fits, chunked).status)

	contentType := func(types ...string) option {
		return func(r *http.Request) { r.Header["Content-Type"] = types }
	}
	for _, good := range []string{"application/json", "application/json; charset=UTF-8", "Application/JSON"} {
		require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/OpenLock", "{}", contentType(good)).status)
	}
	for _, bad := range [][]string{nil, {""}, {"text/plain"}, {"application/jsonx"}, {"application/json; charset=latin1"}, {"application/json", "application/json"}, {"application/x-www-form-urlencoded"}} {
		s.super("POST", "/locks/42/OpenLock", "{}", contentType(bad...)).requireError(http.StatusUnsupportedMediaType, "content-type")
	}
	a := s.super("POST", "/locks/42/OpenLock", "{}", contentType("application/json; charset=latin-1"))
	require.Contains(t, a.requireError(http.StatusUnsupportedMediaType, "content-type")["message"], `"latin-1"`)
	for encoding, status := range map[string]int{"gzip": 415, "br, gzip": 415, "Identity": 200, "": 200} {
		a := s.super("POST", "/locks/42/OpenLock", "{}", header("Content-Encoding", encoding))
		require.Equal(t, status, a.status, encoding)
		if status != http.StatusOK {
			require.Contains(t, a.requireError(status, "content-encoding")["message"], "Content-Encoding: "+encoding)
		}
	}
	s.withKey(superKey, "")
	s.call("POST", "/temp-keys/"+keyUUID+"/open", "requestId=a", form, header("Content-Encoding", "gzip")).requireError(http.StatusUnsupportedMediaType, "content-encoding")
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/OpenLock", "", contentType("text/plain")).status, "a body that is not there has no type")
}

func TestABodyThatEndsEarly(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /locks/42/OpenLock HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", superKey)
	require.NoError(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	(&answer{t, response.StatusCode, response.Header, string(data)}).requireError(http.StatusBadRequest, "body-unreadable")
}

func TestRoutesAndMethods(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, path := range []string{"/", "/locks", "/locks/42", "/locks/42/temp-keys/", "/LOCKS/42/temp-keys", "/temp-keys/", "/locks/42/../42/details", "/favicon.ico"} {
		s.super("GET", path, "", header("Accept", "application/json")).requireError(http.StatusNotFound, "route-not-found")
	}
	s.super("GET", "/locks//temp-keys", "").requireError(http.StatusBadRequest, "parameter-invalid")
	for _, c := range []struct{ method, path, allow string }{
		{"GET", "/locks/42/OpenLock", "POST"}, {"DELETE", "/locks/42/temp-keys", "GET, HEAD"}, {"PUT", "/temp-keys/" + keyUUID, "GET, HEAD, DELETE"},
		{"GET", "/temp-keys/" + keyUUID + "/open", "POST"}, {"BREW", "/locks/42/details", "GET, HEAD"}, {"OPTIONS", "/locks/42/OpenLock", "POST"},
	} {
		a := s.super(c.method, c.path, "", header("Accept", "application/json"))
		a.requireError(http.StatusMethodNotAllowed, "method-not-allowed")
		require.Equal(t, []string{c.allow}, a.header.Values("Allow"), "in one line")
	}
	s.withLock(superKey)
	a := s.super("HEAD", "/locks/42/details", "")
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.body)
	require.NotEmpty(t, a.header.Get("Content-Length"))
	require.Equal(t, http.StatusUnauthorized, s.call("HEAD", "/locks/42/details", "").status)
}

// A list without the filter that was asked for would be the wrong list.
func TestQueriesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	for _, query := range []string{"status=used-up;limit=1", "status=used-up%zz", "%zz", "a;b", "status=valid&x=%"} {
		for _, path := range []string{"/locks/42/temp-keys", "/temp-keys", "/locks/42/details"} {
			v := s.super("GET", path+"?"+query, "", header("Accept", "application/json")).requireError(http.StatusBadRequest, "parameter-invalid")
			require.NotContains(t, v, "field")
			require.Contains(t, v["message"], "query cannot be read")
		}
		s.super("POST", "/locks/42/OpenLock?"+query, "").requireError(http.StatusBadRequest, "parameter-invalid")
		s.call("GET", "/locks/42/temp-keys?"+query, "").requireError(http.StatusUnauthorized, "credentials-required")
	}
	for query, field := range map[string]string{"limit=1&limit=1": "limit", "status=valid&x=1&status=": "status", "cursor&cursor": "cursor"} {
		v := s.super("GET", "/locks/42/temp-keys?"+query, "").requireError(http.StatusBadRequest, "parameter-twice")
		require.Equal(t, field, v["field"])
	}
	require.Equal(t, http.StatusOK, s.super("GET", "/locks/42/temp-keys?x=1&x=2&status=valid", "").status, "what it does not know may come as often as it likes")
}

// Links get parameters from mail and chat programs, and clients of similar APIs send more than is needed: what an operation
// does not know is passed over, and a parameter that it knows is read as ever.
func TestUnknownQueryParameters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	a := s.super("GET", "/temp-keys/"+keyUUID+"?utm_source=mail&fbclid=x", "")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, http.StatusOK, s.super("GET", "/temp-keys/"+keyUUID+"/confirmation?offline=false&gclid=3", "").status)
	require.Equal(t, http.StatusOK, s.super("GET", "/locks/42/temp-keys?lockId=7", "").status)
	require.Equal(t, http.StatusSeeOther, s.super("POST", "/temp-keys/"+keyUUID+"/open?utm_source=mail", "").status)
	require.Equal(t, http.StatusOK, s.call("GET", "/temp-keys/"+keyUUID+"?utm_source=a;b", "").status, "nor has a guest made the link")
	s.super("GET", "/locks/42/events?page=0&utm_source=mail", "").requireError(http.StatusBadRequest, "page-invalid")
}
