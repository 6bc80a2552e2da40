package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/lock"
)

func named(key string) option { return header("Idempotency-Key", key) }

func TestARequestWithANameIsAnsweredAsBefore(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	create := `{"index":1,"uuid":"` + deviceUUID + `"}`
	for _, replayed := range []string{"", "true", "true"} {
		a := s.call("POST", "/locks/42/CreateLock", create, as(hotel), named("c1"))
		require.Equal(t, http.StatusCreated, a.status, "a repeated request gets the same status: %s", a.body)
		require.Equal(t, replayed, a.header.Get("Idempotent-Replayed"))
	}

	// The UUID of a key that the server made up is the same again.
	first := s.call("POST", "/locks/42/create-temp-key", `{`+aWindow+`}`, as(hotel), named("k1"))
	require.Equal(t, http.StatusOK, first.status, first.body)
	again := s.call("POST", "/locks/42/create-temp-key", "{ "+strings.ReplaceAll(aWindow, ",", " ,\n")+"}", as(hotel), named("k1"))
	require.Equal(t, first.body, again.body, "white space does not matter")
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	s.call("POST", "/locks/42/create-temp-key", `{`+aWindow+`,"maxUses":3}`, as(hotel), named("k1")).
		requireError(http.StatusUnprocessableEntity, "idempotency-key-reused")
	s.call("POST", "/locks/42/SetOwner", `{"userId":"ann"}`, as(hotel), named("k1")).
		requireError(http.StatusUnprocessableEntity, "idempotency-key-reused")
	keys, _ := s.page("/locks/42/temp-keys", as(hotel))
	require.Len(t, keys, 1)
	s.call("POST", "/locks/42/SetOwner", `{"userId":"eve"}`, as(hostel), named("k1")).requireError(http.StatusNotFound, "lock-not-found")

	// What was changed since is not changed back.
	owner := func(user, key string) *answer {
		return s.call("POST", "/locks/42/SetOwner", `{"userId":"`+user+`"}`, as(hotel), named(key))
	}
	ann := owner("ann", "o1")
	owner("bob", "o2")
	require.Equal(t, ann.body, owner("ann", "o1").body)
	require.Equal(t, "bob", s.call("GET", "/locks/42/basic-info", "", as(hotel)).json()["ownerId"])

	// A request that was refused has not taken its name.
	owner("", "o3").requireError(http.StatusBadRequest, "user-id-invalid")
	require.Equal(t, http.StatusOK, owner("cem", "o3").status)

	// A deletion is answered again, and not with "there is no such key".
	remove := func() *answer {
		return s.call("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+keys[0]+`"}`, as(hotel), named("d1"))
	}
	gone := remove()
	require.Equal(t, http.StatusOK, gone.status)
	require.Equal(t, gone.body, remove().body)

	secret := func(key string) *answer {
		return s.call("POST", "/locks/42/RotateDeviceSecret", "", as(hotel), named(key))
	}
	require.Equal(t, http.StatusOK, secret("s1").status)
	secret("s1").requireError(http.StatusConflict, "secret-told-before")
	require.Equal(t, http.StatusOK, secret("s2").status)
}

func TestNamesOfRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	for _, key := range []string{"", "a b", "ä", strings.Repeat("x", 129)} {
		s.super("POST", "/locks/42/SetOwner", `{"userId":"ann"}`, named(key)).requireError(http.StatusBadRequest, "idempotency-key-invalid")
	}
	s.super("POST", "/locks/42/SetOwner", `{"userId":"ann"}`, named("a"), named("b")).requireError(http.StatusBadRequest, "parameter-twice")
	s.super("POST", "/organizations", `{"orgId":"hotel-9"}`, named("a b")).requireError(http.StatusBadRequest, "idempotency-key-invalid")
	s.call("POST", "/locks/42/SetOwner", `{"userId":"ann"}`, named("a b")).requireError(http.StatusUnauthorized, "credentials-required")

	// For an open it is another way to say requestId.
	opened := s.super("POST", "/locks/42/OpenLock", "", named("r1"))
	require.Equal(t, "r1", opened.json()["openRequestId"])
	require.Equal(t, opened.json()["commandId"], s.super("POST", "/locks/42/OpenLock", `{"requestId":"r1"}`, named("r1")).json()["commandId"])
	s.super("POST", "/locks/42/OpenLock", `{"requestId":"r2"}`, named("r1")).requireError(http.StatusBadRequest, "request-id-invalid")
	s.super("POST", "/locks/42/OpenLock", `{"reason":"another"}`, named("r1")).requireError(http.StatusUnprocessableEntity, "idempotency-key-reused")
	again := s.super("POST", "/locks/42/OpenLock", `{"requestId":"r1","reason":"another"}`) // a requestId names the open, and no body
	require.Equal(t, opened.json()["commandId"], again.json()["commandId"], again.body)
	require.Equal(t, 1, s.kernel.opens)

	// A name that was used by mistake for an open and for something else opens no door, and changes nothing.
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/SetOwner", `{"userId":"ann"}`, named("x")).status)
	s.super("POST", "/locks/42/OpenLock", "", named("x")).requireError(http.StatusUnprocessableEntity, "idempotency-key-reused")
	s.super("POST", "/locks/42/OpenLock", `{"requestId":"x"}`).requireError(http.StatusConflict, "request-id-reused")
	s.super("POST", "/locks/42/create-temp-key", `{`+aWindow+`}`, named("r1")).requireError(http.StatusUnprocessableEntity, "idempotency-key-reused")
	require.Equal(t, 1, s.kernel.opens)
	keys, _ := s.page("/locks/42/temp-keys", as(superKey))
	require.Empty(t, keys)
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/OpenLock", "", named("r1")).status)
}

func TestManyKeysUnderOneName(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLocks(superKey, 3)
	item := func(lockID, n int) string { return bulkKey(lockID, `,"tempKeyUuid":"`+uuidNamed(n)+`"`) }
	body := `{"items":[` + item(1, 1) + `,` + item(2, 2) + `]}`
	for range 2 {
		a := s.super("POST", "/bulk/create-temp-keys", body, named("b1"))
		require.Equal(t, true, a.json()["success"], a.body)
	}
	// This lock has not heard of the name.
	s.super("POST", "/bulk/create-temp-keys", `{"items":[`+item(3, 3)+`]}`, named("b1")).requireError(http.StatusUnprocessableEntity, "idempotency-key-reused")
	keys, _ := s.page("/locks/1/temp-keys", as(superKey))
	require.Len(t, keys, 1)
}

// TestTheSameNameAtTheSameTime: while a request is being carried out another one of its name is told to come back.
func TestTheSameNameAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *api.Options) {})
	s.withLock(superKey)
	inside, leave := make(chan struct{}), make(chan struct{})
	first := true
	s.kernel.trouble = func() error {
		if first { // the kernel's own mutex guards it
			first = false
			close(inside)
			<-leave
		}
		return nil
	}
	done := make(chan *answer)
	go func() {
		done <- s.super("POST", "/locks/42/SetOwner", `{"userId":"ann"}`, named("n1"))
	}()
	<-inside
	a := s.super("POST", "/locks/42/SetOwner", `{"userId":"ann"}`, named("n1"))
	a.requireError(http.StatusConflict, "request-in-flight")
	require.Equal(t, "1", a.header.Get("Retry-After"))
	other := s.super("POST", "/organizations", `{"orgId":"hotel-9"}`, named("n1"))
	other.requireError(http.StatusConflict, "request-in-flight")
	close(leave)
	require.Equal(t, http.StatusOK, (<-done).status)
	require.Equal(t, "true", s.super("POST", "/locks/42/SetOwner", `{"userId":"ann"}`, named("n1")).header.Get("Idempotent-Replayed"))
	require.Equal(t, lock.UserID("ann"), s.kernel.locks[42].OwnerID)
}

// Staff of two hotels have one token. What they did for the one is nothing that the other one's key, or their token alone, gets an answer from.
func TestNamesOfAUserWithTwoKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel, ann := s.orgKey("hotel-9"), s.orgKey("hostel-2"), bearer(token(t, "ann"))
	s.withLock(hotel)
	guest := func(key string) *answer {
		return s.call("POST", "/users/by-email", `{"email":"kim@example.org"}`, as(key), ann, named("kim"))
	}
	kim := guest(hotel)
	require.Equal(t, http.StatusCreated, kim.status, kim.body)
	other := guest(hostel)
	require.Equal(t, http.StatusCreated, other.status, other.body)
	require.Empty(t, other.header.Get("Idempotent-Replayed"))
	require.NotEqual(t, kim.json()["userId"], other.json()["userId"])
	require.Equal(t, other.json()["userId"], s.call("GET", "/users/by-email?email=kim@example.org", "", as(hostel)).json()["userId"])

	doors := `{"validFrom":"2026-05-01T12:00:00Z","validUntil":"2026-05-03T11:00:00Z","doors":[{"lockId":"42"}]}`
	stay := func(who ...option) *answer {
		return s.call("POST", "/temp-keys", doors, append(who, named("stay-77"))...)
	}
	first := stay(as(hotel), ann)
	require.Equal(t, http.StatusCreated, first.status, first.body)
	for _, who := range [][]option{{as(hostel), ann}, {ann}} {
		stay(who...).requireError(http.StatusNotFound, "lock-not-found")
	}
	again := stay(as(hotel), ann)
	require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
	require.Equal(t, first.json()["url"], again.json()["url"])
}
