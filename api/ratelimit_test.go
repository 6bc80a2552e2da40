package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
)

func limited(r api.Rates) func(*api.Options) { return func(o *api.Options) { o.Rates = r } }

func TestACallerHasABucketOfRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, limited(api.Rates{Caller: api.Rate{PerSecond: 2, Burst: 4}}))
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLock(hotel) // the first of four
	details := func(who string) *answer { return s.call("GET", "/locks/42/details", "", as(who)) }
	for _, left := range []string{`"caller";r=2;t=1`, `"caller";r=1;t=1`, `"caller";r=0;t=1`} {
		a := details(hotel)
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, left, a.header.Get("RateLimit"))
		require.Equal(t, `"caller";q=4;w=2`, a.header.Get("RateLimit-Policy"))
	}
	a := details(hotel)
	a.requireError(http.StatusTooManyRequests, "too-many-requests")
	require.Equal(t, "1", a.header.Get("Retry-After"))

	require.Equal(t, http.StatusNotFound, details(hostel).status, "others are not bothered")
	require.Empty(t, details(hostel).header.Get("Retry-After"))
	for range 20 {
		require.Equal(t, http.StatusOK, details(superKey).status)
	}
	s.clock.Advance(500 * time.Millisecond)
	require.Equal(t, http.StatusOK, details(hotel).status)
	require.Equal(t, http.StatusTooManyRequests, details(hotel).status)
}

func TestALockHasABucketOfRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, limited(api.Rates{Target: api.Rate{PerSecond: 1, Burst: 3}}))
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	s.withKey(hotel, "")
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", as(hotel)).status)
	s.call("GET", "/locks/42/details", "", as(hotel)).requireError(http.StatusTooManyRequests, "too-many-requests")
	require.Equal(t, http.StatusNotFound, s.call("GET", "/locks/43/details", "", as(hotel)).status)
	for range 3 {
		require.Equal(t, http.StatusSeeOther, s.call("POST", "/temp-keys/"+keyUUID+"/open", "").status)
	}
	opens := s.kernel.opens
	s.call("POST", "/temp-keys/"+keyUUID+"/open", "", header("Accept", "application/json")).requireError(http.StatusTooManyRequests, "too-many-requests")
	require.Equal(t, opens, s.kernel.opens)
}

func TestGuestsAreCountedByTheirAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t, limited(api.Rates{Address: api.Rate{PerSecond: 1, Burst: 2}}))
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	s.withKey(hotel, "")
	page := func() *answer { return s.call("GET", "/temp-keys/"+keyUUID, "", header("Accept", "application/json")) }
	require.Equal(t, http.StatusOK, page().status)
	require.Equal(t, http.StatusOK, page().status)
	page().requireError(http.StatusTooManyRequests, "too-many-requests")
	for range 5 {
		require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", as(hotel)).status, "they have credentials")
	}
	s.clock.Advance(time.Minute)
	require.Equal(t, http.StatusOK, page().status)
}

func TestBadRatesAreRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []api.Rate{{PerSecond: -1, Burst: 1}, {PerSecond: 1}, {PerSecond: 1, Burst: -1}} {
		_, err := api.New(api.Options{Rates: api.Rates{Target: r}})
		require.Error(t, err)
	}
}

// However an address is written, a lock has one bucket, and names that are none take no memory.
func TestABucketHasOneName(t *testing.T) {
	t.Parallel()
	s := newServer(t, limited(api.Rates{Target: api.Rate{PerSecond: 1, Burst: 2}}))
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	s.clock.Advance(time.Minute)
	s.withKey(hotel, "")
	s.clock.Advance(time.Minute)
	upper := strings.ToUpper(keyUUID)
	for i, path := range []string{keyUUID, "%33" + keyUUID[1:], upper, "%33" + upper[1:]} {
		a := s.call("GET", "/temp-keys/"+path, "", header("Accept", "application/json"))
		require.Equal(t, i > 1, a.status == http.StatusTooManyRequests, "%s: %d", path, a.status)
	}
	for i, path := range []string{"42", "%34%32", "4%32"} {
		a := s.call("POST", "/locks/"+path+"/open-with-pin", `{"pin":"x"}`)
		require.Equal(t, i > 1, a.status == http.StatusTooManyRequests, "%s: %d", path, a.status)
	}
	for range 5 {
		a := s.call("GET", "/temp-keys/"+strings.Repeat("x", 10_000), "", header("Accept", "application/json"))
		require.Equal(t, http.StatusNotFound, a.status, "it has no bucket")
	}
}

// Who may not see a lock takes nothing of what its organisation and its guests have of it.
func TestStrangersTakeNothingOfALock(t *testing.T) {
	t.Parallel()
	s := newServer(t, limited(api.Rates{Target: api.Rate{PerSecond: 1, Burst: 3}}))
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLock(hotel)
	for range 5 {
		s.call("POST", "/locks/42/OpenLock", "", as(hostel))
		s.call("POST", "/locks/42/OpenLock", "", bearer(token(t, "eve")))
		s.call("POST", "/locks/42/open-with-pin", `{"pin":"x"}`)
	}
	require.Equal(t, http.StatusOK, s.call("POST", "/locks/42/OpenLock", "", as(hotel)).status)
}
