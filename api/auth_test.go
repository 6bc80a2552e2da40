package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// operations lists the operations of our document as requests to lock 42, with a body that is good.
func operations(t *testing.T) (closed, free [][3]string) {
	t.Helper()
	bodies := map[string]string{
		"CreateLock": `{"index":2,"uuid":"` + deviceUUID + `"}`, "SetOwner": `{"userId":"eve"}`, "SetOrganization": `{"orgId":"hostel-2"}`,
		"CreateTempKey": `{"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z"}`,
		"UpdateTempKey": `{"tempKeyUuid":"` + keyUUID + `","maxUses":9}`, "DeleteTempKey": `{"tempKeyUuid":"` + keyUUID + `"}`,
	}
	all, err := contracts()
	require.NoError(t, err)
	for path, item := range all[0].doc.Paths.Map() {
		for method, operation := range item.Operations() {
			at := strings.NewReplacer("{id}", "42", "{uuid}", keyUUID, "{orgId}", "hotel-9").Replace(path)
			request := [3]string{method, at, bodies[operation.OperationID]}
			if operation.Security == nil {
				closed = append(closed, request)
			} else {
				free = append(free, request)
			}
		}
	}
	return closed, free
}

func TestEveryOperationAsksForCredentials(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	s.withKey(hotel, "")
	good := token(t, "ann")
	closed, free := operations(t)
	require.Len(t, closed, 13)
	require.Len(t, free, 4)
	for _, o := range closed {
		for _, c := range []struct {
			name, reason string
			options      []option
		}{
			{"nothing", "credentials-required", nil},
			{"an empty key", "api-key-invalid", []option{as("")}},
			{"a wrong key", "api-key-invalid", []option{as("lk_wrong")}},
			{"a cut super key", "api-key-invalid", []option{as(superKey[:31])}},
			{"two keys", "credentials-twice", []option{as(superKey), as(superKey)}},
			{"a huge key", "api-key-invalid", []option{as(strings.Repeat("x", 1000))}},
			{"a key in the wrong place", "token-invalid", []option{bearer(hotel)}},
			{"another scheme", "authorization-invalid", []option{header("Authorization", "Basic YTpi")}},
			{"no token", "authorization-invalid", []option{header("Authorization", "Bearer ")}},
			{"a token and a wrong key", "api-key-invalid", []option{bearer(good), as("wrong")}},
			{"a key and a wrong token", "token-invalid", []option{as(hotel), bearer("wrong")}},
			{"a key and a cut token", "token-invalid", []option{as(hotel), bearer(good[:len(good)-4])}},
		} {
			a := s.call(o[0], o[1], o[2], c.options...)
			a.requireError(http.StatusUnauthorized, c.reason)
			require.NotEmpty(t, a.header.Get("WWW-Authenticate"), "%s to %s", c.name, o[1])
		}
	}
	for _, o := range free {
		require.Less(t, s.call(o[0], o[1], o[2]).status, 400, o[1])
	}
	require.Equal(t, 1, s.kernel.opens)
}

func TestNobodySeesTheLocksOfOthers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLock(hotel)
	s.withKey(hotel, "")
	before := s.call("GET", "/locks/42/events", "", as(hotel)).json()["totalEvents"]
	closed, _ := operations(t)
	for _, o := range closed {
		for _, who := range []option{as(hostel), bearer(token(t, "eve"))} {
			a := s.call(o[0], o[1], o[2], who)
			switch {
			case strings.HasSuffix(o[1], "/CreateLock"):
				require.Contains(t, []int{http.StatusConflict, http.StatusForbidden}, a.status, a.body)
			case strings.HasPrefix(o[1], "/organizations/"):
				a.requireError(http.StatusForbidden, "super-key-required")
			default:
				a.requireError(http.StatusNotFound, "lock-not-found")
			}
			require.NotContains(t, a.body, "hotel")
		}
	}
	require.Equal(t, before, s.call("GET", "/locks/42/events", "", as(hotel)).json()["totalEvents"])
}

func TestKeyAndTokenTogether(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	s.withKey(hotel, "")
	a := s.call("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+keyUUID+`"}`, as(hotel), bearer(token(t, "ann")))
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, "ann", a.json()["event"].(map[string]any)["data"].(map[string]any)["deletedBy"])
}

func TestIdentityHeadersAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	closed, free := operations(t)
	for _, o := range append(closed, free...) {
		for _, name := range []string{"X-Org-Id", "x-user-id"} {
			s.super(o[0], o[1], o[2], header(name, ""), header("Accept", "application/json")).requireError(http.StatusBadRequest, "identity-header")
		}
	}
}
