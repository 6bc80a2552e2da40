package api_test

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
)

func TestOrganisations(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.super("POST", "/organizations", `{"orgId":"hotel-9","name":"Hotel Nine"}`)
	require.Equal(t, http.StatusCreated, a.status, a.body)
	require.Equal(t, map[string]any{"success": true, "orgId": "hotel-9", "name": "Hotel Nine", "createdAt": "2026-05-01T10:00:00.000Z"}, a.json())
	a = s.super("POST", "/organizations", `{"orgId":"hotel-9","name":"Hotel 9"}`)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "Hotel 9", a.json()["name"])
	require.Equal(t, "Hotel 9", s.super("POST", "/organizations", `{"orgId":"hotel-9"}`).json()["name"])
	s.orgKey("a/b")
	s.orgKey("Zürich")

	var seen []any
	path := "/organizations?limit=2"
	for range 2 {
		page := s.super("GET", path, "").json()
		for _, o := range page["organizations"].([]any) {
			seen = append(seen, o.(map[string]any)["orgId"])
		}
		next, more := page["nextCursor"].(string)
		require.Equal(t, len(seen) == 2, more)
		path = "/organizations?limit=2&cursor=" + next
	}
	require.Equal(t, []any{"Zürich", "a/b", "hotel-9"}, seen)
	require.NotContains(t, s.super("GET", "/organizations", "").json(), "nextCursor")

	for _, bad := range []string{"0", "101", "-1", "x", "1e1"} {
		s.super("GET", "/organizations?limit="+bad, "").requireError(http.StatusBadRequest, "limit-invalid")
	}
	s.super("GET", "/organizations?cursor=%25", "").requireError(http.StatusBadRequest, "cursor-invalid")
	s.super("POST", "/organizations", `{"orgId":""}`).requireError(http.StatusBadRequest, "org-id-invalid")
	s.super("POST", "/organizations", `{"orgId":"a","name":"\u0007"}`).requireError(http.StatusBadRequest, "name-invalid")
	s.super("POST", "/organizations", "").requireError(http.StatusBadRequest, "body-missing")
	for _, past := range []string{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "2026-05-01T10:00:00Z"} { // the first is Go's zero time
		s.super("POST", "/organizations/a/api-keys", `{"expiresAt":"`+past+`"}`).requireError(http.StatusBadRequest, "expiry-invalid")
	}
}

func TestTheLifeOfAnAPIKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const keys = "/organizations/hotel-9/api-keys"
	s.super("GET", keys, "").requireError(http.StatusNotFound, "organization-not-found")
	a := s.super("POST", keys, `{"name":"PMS","scopes":["manage","read"],"expiresAt":"2026-06-01T12:00:00+02:00"}`)
	require.Equal(t, http.StatusCreated, a.status, a.body)
	first := a.json()
	require.Equal(t, []any{"read", "manage"}, first["scopes"])
	require.Equal(t, "2026-06-01T10:00:00.000Z", first["expiresAt"])
	require.Equal(t, "active", first["status"])
	key, id := first["key"].(string), first["keyId"].(string)
	require.Equal(t, key[:9], first["prefix"])
	s.withLock(key)

	a = s.super("POST", keys+"/"+id+"/rotate", `{"graceSeconds":60}`)
	require.Equal(t, http.StatusCreated, a.status, a.body)
	second := a.json()
	require.Equal(t, id, second["replaces"])
	require.Equal(t, "PMS", second["name"])
	details := func(key any) int { return s.call("GET", "/locks/42/details", "", as(key.(string))).status }
	require.Equal(t, http.StatusOK, details(key))
	require.Equal(t, http.StatusOK, details(second["key"]))
	s.clock.Advance(time.Minute)
	require.Equal(t, http.StatusUnauthorized, details(key))
	require.Equal(t, http.StatusOK, details(second["key"]))

	for range 2 {
		a = s.super("POST", keys+"/"+second["keyId"].(string)+"/revoke", "")
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, "revoked", a.json()["status"])
		require.Equal(t, "2026-05-01T10:01:00.000Z", a.json()["revokedAt"])
	}
	require.Equal(t, http.StatusUnauthorized, details(second["key"]))

	a = s.super("GET", keys, "")
	list := a.json()["apiKeys"].([]any)
	require.Len(t, list, 2)
	require.Equal(t, "expired", list[0].(map[string]any)["status"])
	require.Equal(t, "revoked", list[1].(map[string]any)["status"])
	require.NotContains(t, a.body, key[9:])

	s.super("POST", keys+"/"+id+"/rotate", "").requireError(http.StatusConflict, "api-key-expired")
	s.super("POST", keys+"/0000000000000000/rotate", "").requireError(http.StatusNotFound, "api-key-not-found")
	s.super("POST", keys+"/0000000000000000/revoke", "").requireError(http.StatusNotFound, "api-key-not-found")
	s.super("POST", keys+"/"+id+"/revoke", `{"x":1}`).requireError(http.StatusBadRequest, "field-unknown")
	for _, grace := range []string{"-1", "2592001", "9007199254740991"} {
		s.super("POST", keys+"/"+id+"/rotate", `{"graceSeconds":`+grace+`}`).requireError(http.StatusBadRequest, "grace-invalid")
	}
	v := s.super("POST", keys, `{"scopes":[]}`).requireError(http.StatusBadRequest, "scope-invalid")
	require.Contains(t, v["message"], "Leave it out")
	s.super("POST", keys, `{"scopes":["admin"]}`).requireError(http.StatusBadRequest, "scope-invalid")
	s.super("POST", keys, `{"expiresAt":"2026-05-01T10:00:00Z"}`).requireError(http.StatusBadRequest, "expiry-invalid")
	require.NotContains(t, s.logs.String(), key)
}

// Only what the operator's own proxies say of an address is believed.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, trusted, forwarded, want string
	}{
		{"no proxy", "", "", "127.0.0.1"},
		{"a proxy that is not trusted", "10.0.0.0/8", "203.0.113.7", "127.0.0.1"},
		{"a proxy", "127.0.0.0/8", "203.0.113.7", "203.0.113.7"},
		{"a caller that makes hops up", "127.0.0.0/8", "198.51.100.1, 203.0.113.7", "203.0.113.7"},
		{"two proxies", "127.0.0.0/7", "198.51.100.1, 203.0.113.7 ,126.0.0.1", "203.0.113.7"},
		{"IPv6", "127.0.0.0/8", "2001:db8::7", "2001:db8::7"},
		{"IPv4 in IPv6", "127.0.0.0/8", "::ffff:203.0.113.7", "203.0.113.7"},
		{"a proxy that says nothing", "127.0.0.0/8", "", "127.0.0.1"},
		{"a proxy that says nonsense", "127.0.0.0/8", "unknown", "127.0.0.1"},
		{"proxies all the way", "0.0.0.0/0", "10.0.0.1, 10.0.0.2", "10.0.0.1"},
	} {
		s := newServer(t, func(o *api.Options) {
			if c.trusted != "" {
				o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.trusted)}
			}
		})
		var options []option
		if c.forwarded != "" {
			options = append(options, header("X-Forwarded-For", c.forwarded))
		}
		s.super("POST", "/organizations", `{"orgId":"hotel-9"}`, options...)
		events, _ := s.super("GET", "/organizations/hotel-9/events", "").lines()
		require.Len(t, events, 1)
		require.Equal(t, c.want, events[0]["from"], c.name)
	}
}
