package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCredentialsThatAreNotGood(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	good := token(t, "ann")
	for _, o := range s.operations() {
		if o.scope == "public" {
			continue
		}
		for _, c := range []struct {
			name, reason string
			options      []option
		}{
			{"an empty key", "api-key-invalid", []option{as("")}},
			{"a key that never was", "api-key-mistyped", []option{as("lk_wrong")}},
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
			a := s.call(o.method, o.path, o.body, c.options...)
			a.requireError(http.StatusUnauthorized, c.reason)
			require.NotEmpty(t, a.header.Get("WWW-Authenticate"), "%s to %s", c.name, o.id)
		}
	}
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
	for _, o := range s.operations() {
		for _, name := range []string{"X-Org-Id", "x-user-id"} {
			s.super(o.method, o.path, o.body, header(name, ""), header("Accept", "application/json")).requireError(http.StatusBadRequest, "identity-header")
		}
	}
}
