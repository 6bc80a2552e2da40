package api_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

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
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { s.call("GET", "/organizations/hotel-9/events", "", as(hotel)) })
		<-h.began
	}
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/1/events", "", as(hotel)).status)
	s.kernel.large = 1
	s.call("GET", "/locks/1/events", "", as(hotel)).requireError(http.StatusServiceUnavailable, "busy")
	close(h.gate)
	all.Wait()
	require.Len(t, s.call("GET", "/locks/1/events", "", as(hotel)).json()["events"], 3)
}
