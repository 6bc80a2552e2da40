package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/lock"
)

// Events that are too large to be read at once are listed and exported as others are.
func TestLargeEventsAreListedInParts(t *testing.T) {
	t.Parallel()
	s, hotel := newEstate(t)
	for i := range 250 {
		_, err := s.kernel.Do(t.Context(), 42, &lock.SetOwner{By: lock.Caller{OrgID: "hotel-9"}, UserID: lock.UserID(fmt.Sprint("user-", i))})
		require.NoError(t, err)
	}
	paths := []string{"/locks/42/events", "/locks/42/events?page=2", "/locks/42/events?page=3", "/locks/42/events?page=4", "/locks/42/events/export"}
	read := func() (bodies []string) {
		t.Helper()
		for _, path := range paths {
			a := s.call("GET", path, "", as(hotel))
			require.Equal(t, http.StatusOK, a.status, a.body)
			head := s.call("HEAD", path, "", as(hotel))
			require.Equal(t, http.StatusOK, head.status)
			require.Empty(t, head.body)
			if path != paths[4] {
				bodies = append(bodies, fmt.Sprint(a.json()))
				continue
			}
			events, end := a.lines()
			bodies = append(bodies, fmt.Sprint(events, end))
		}
		return bodies
	}
	whole := read()
	require.Contains(t, whole[0], "user-50")
	for _, s.kernel.large = range []int{1, 7, 99, 100} {
		require.Equal(t, whole, read())
	}
}

// A page that is read in parts is an export: there are so many at a time. Others always have room.
func TestPagesOfLargeEventsAreBounded(t *testing.T) {
	t.Parallel()
	h := gated{make(chan struct{}), make(chan struct{}, 16)}
	s := newServer(t, func(o *api.Options) { o.History = h })
	hotel := s.orgKey("hotel-9")
	s.withLocks(hotel, 1)
	s.call("POST", "/locks/1/SetOwner", `{"userId":"ann"}`, as(hotel))
	s.call("POST", "/locks/1/SetOwner", `{"userId":"bea"}`, as(hotel))
	open := sync.OnceFunc(func() { close(h.gate) })
	defer open()
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { s.call("GET", "/organizations/hotel-9/events", "", as(hotel)) })
		<-h.began
	}
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/1/events", "", as(hotel)).status)
	s.kernel.large = 1
	s.call("GET", "/locks/1/events", "", as(hotel)).requireError(http.StatusServiceUnavailable, "busy")
	s.kernel.large = 0
	users := make([]string, 1000)
	for i := range users {
		users[i] = fmt.Sprintf(`"%0200d"`, i)
	}
	a := s.call("POST", "/bulk/create-temp-keys", `{"items":[{"lockId":1,"tempKey":{"accessMode":"user-whitelist","allowedUserIds":[`+strings.Join(users, ",")+`],
		"validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z","maxUses":null}}]}`, as(hotel))
	assert.EqualValues(t, 1, a.json()["succeeded"], a.body)
	s.call("GET", "/locks/1/events", "", as(hotel)).requireError(http.StatusServiceUnavailable, "busy")
	open()
	all.Wait()
	require.Len(t, s.call("GET", "/locks/1/events", "", as(hotel)).json()["events"], 4)
}
