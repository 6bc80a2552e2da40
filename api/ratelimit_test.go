package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/tenant"
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
		for name, rates := range map[string]api.Rates{"caller": {Caller: r}, "address": {Address: r}, "target": {Target: r}} {
			requireRefused(t, fmt.Sprint(name, " ", r), limited(rates))
		}
	}
}

// Devices that come at the same time do not share a try: those that were too many are waited for.
func TestStrangersAtTheSameTimeHaveATryEach(t *testing.T) {
	t.Parallel()
	const perSecond, atOnce, together = 10, 20, 15
	s := newServer(t, limited(api.Rates{Address: api.Rate{PerSecond: perSecond, Burst: atOnce}}))
	strangers := s.handler.(*api.API).Strangers()
	from := func(addr string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = addr
		return r
	}
	tries := 0
	const seconds = 10
	for range seconds * 100 {
		if r := from("192.0.2.7:1024"); strangers.MayTry(r) {
			for range together { // all were let in before the first was found to be wrong
				tries++
				strangers.Wrong(r)
			}
		}
		s.clock.Advance(10 * time.Millisecond)
	}
	require.InDelta(t, atOnce+seconds*perSecond, tries, together)
	require.True(t, strangers.MayTry(from("192.0.2.8:1024")))
	require.Equal(t, http.StatusOK, s.call("GET", "/openapi.json", "").status)
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

// Whoever tries a few PINs at every lock is stopped before the locks stop them, whether the next one is right or wrong, and nobody else is.
func TestWrongPINsAreCountedByAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t, limited(api.Rates{Address: api.Rate{PerSecond: 100, Burst: 500}}), func(o *api.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	hotel := s.orgKey("hotel-9")
	s.withLocks(hotel, 3)
	a := s.call("POST", "/temp-keys", `{"validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z","doors":[{"lockId":"1","accessMethod":"code"}]}`, as(hotel))
	require.Equal(t, http.StatusCreated, a.status, a.body)
	right := a.json()["pin"].(string)
	wrong := "999999"
	if wrong == right {
		wrong = "999998"
	}
	try := func(lock int, pin, address string) *answer {
		return s.call("POST", fmt.Sprintf("/locks/%d/open-with-pin", lock), `{"pin":"`+pin+`"}`, header("X-Forwarded-For", address))
	}
	for i := range 5 {
		require.Equal(t, http.StatusUnauthorized, try(2+i, wrong, "2001:db8::1").status)
	}
	for _, pin := range []string{wrong, right} {
		a := try(1, pin, "2001:db8::2")
		a.requireError(http.StatusTooManyRequests, "too-many-requests")
		require.Equal(t, "1", a.header.Get("Retry-After"))
	}
	require.Equal(t, http.StatusUnauthorized, try(1, wrong, "2001:db8:1::1").status)
	s.clock.Advance(time.Second)
	require.NotEqual(t, http.StatusTooManyRequests, try(1, right, "2001:db8::1").status)
	require.NotEqual(t, http.StatusTooManyRequests, try(1, right, "2001:db8::1").status, "right ones cost nothing")
	require.Equal(t, http.StatusUnauthorized, try(1, wrong, "2001:db8::1").status)
	require.Equal(t, http.StatusTooManyRequests, try(1, wrong, "2001:db8::1").status)
}

// Those who send many PINs at once get no more of them tried than those who send one after the other, and wait no longer after it.
func TestWrongPINsAtOnceAreAsMany(t *testing.T) {
	t.Parallel()
	const atOnce, sent = 5, 60
	s := newServer(t, limited(api.Rates{Address: api.Rate{PerSecond: 100, Burst: 100 * atOnce}}))
	s.withLocks(s.orgKey("hotel-9"), 3)
	try := func(lock int) int {
		return s.call("POST", fmt.Sprintf("/locks/%d/open-with-pin", lock), `{"pin":"999999"}`).status
	}
	var all sync.WaitGroup
	var looked atomic.Int64
	start := make(chan struct{})
	for i := range sent {
		all.Go(func() {
			<-start
			if try(2+i) == http.StatusUnauthorized {
				looked.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	require.EqualValues(t, atOnce, looked.Load())
	require.Equal(t, http.StatusTooManyRequests, try(2))
	s.clock.Advance(time.Second)
	require.Equal(t, http.StatusUnauthorized, try(2), "there is no debt beyond what was tried")
}

// One call that does the work of many counts as several.
func TestLargeCallsCountMore(t *testing.T) {
	t.Parallel()
	s := newServer(t, limited(api.Rates{Caller: api.Rate{PerSecond: 1, Burst: 100}}))
	hotel := s.orgKey("hotel-9")
	s.withLocks(superKey, 1)
	s.super("POST", "/locks/1/SetOrganization", `{"orgId":"hotel-9"}`)
	left := func() int {
		t.Helper()
		a := s.call("GET", "/locks/1/details", "", as(hotel))
		var left, after int
		_, err := fmt.Sscanf(a.header.Get("RateLimit"), `"caller";r=%d;t=%d`, &left, &after)
		require.NoError(t, err, a.header)
		return left
	}
	for range 60 {
		s.call("GET", "/locks/1/details", "", as(hotel))
	}
	was := left()
	items := strings.TrimSuffix(strings.Repeat(bulkKey(1, "")+",", 80), ",")
	require.Equal(t, http.StatusOK, s.call("POST", "/bulk/create-temp-keys", `{"items":[`+items+`]}`, as(hotel)).status)
	require.Equal(t, was-13, left(), "the call, 80/8, its second 8 KiB, and the question how many are left")
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/1/temp-keys", "", as(hotel)).status)
	require.Equal(t, was-13-5, left(), "the list, 80/25 and the question")
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/temp-keys?createdBy=hotel-9", "", as(hotel)).status)
	require.Equal(t, was-13-5-12, left())
	items = strings.TrimSuffix(strings.Repeat(bulkKey(1, "")+",", 400), ",")
	require.Equal(t, http.StatusOK, s.call("POST", "/bulk/create-temp-keys", `{"items":[`+items+`]}`, as(hotel)).status)
	s.clock.Advance(30 * time.Second)
	require.Equal(t, http.StatusTooManyRequests, s.call("GET", "/locks/1/details", "", as(hotel)).status, "it has a debt")
	s.clock.Advance(20 * time.Second)
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/1/details", "", as(hotel)).status)
}

// A body counts for what it weighs, whether it is good for anything or not: bytes are read, stored and kept.
func TestLargeBodiesCountMore(t *testing.T) {
	t.Parallel()
	s := newServer(t, limited(api.Rates{Caller: api.Rate{PerSecond: 1, Burst: 400}}))
	hotel := s.orgKey("hotel-9")
	s.withLock(superKey)
	s.super("POST", "/locks/42/SetOrganization", `{"orgId":"hotel-9"}`)
	left := func() (left int) {
		t.Helper()
		after := 0
		a := s.call("GET", "/locks/42/details", "", as(hotel))
		_, err := fmt.Sscanf(a.header.Get("RateLimit"), `"caller";r=%d;t=%d`, &left, &after)
		require.NoError(t, err, a.header)
		return left
	}
	for range 200 {
		s.call("GET", "/locks/42/details", "", as(hotel))
	}
	cost := func(body string, path string, want int, status int) {
		t.Helper()
		was := left()
		require.Equal(t, status, s.call("POST", path, body, as(hotel)).status)
		require.Equal(t, was-want, left()+1, "the question costs one")
	}
	secret := func(of int) string {
		return `{"graceSeconds":60` + strings.Repeat(" ", of-len(`{"graceSeconds":60}`)) + `}`
	}
	const path = "/locks/42/RotateDeviceSecret"
	cost("", path, 1, http.StatusOK)
	cost(secret(8<<10), path, 1, http.StatusOK)
	cost(secret(8<<10+1), path, 2, http.StatusOK)
	cost(secret(16<<10+1), path, 3, http.StatusOK)
	cost(strings.Repeat("x", 64<<10), path, 8, http.StatusBadRequest)
	cost(`{"items":[`+strings.Repeat(" ", 1<<20-len(`{"items":[]}`))+`]}`, "/bulk/create-temp-keys", 128, http.StatusBadRequest)
	for tokens := left(); tokens > 0; tokens -= 8 {
		require.Equal(t, http.StatusOK, s.call("POST", path, secret(64<<10), as(hotel)).status)
	}
	require.Equal(t, http.StatusTooManyRequests, s.call("GET", "/locks/42/details", "", as(hotel)).status)
	s.clock.Advance(time.Minute)
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", as(hotel)).status)
}

// Whoever makes keys up has the journal asked for as many as they may make requests, and keeps nobody else from theirs.
func TestWrongKeysAreCountedByAddress(t *testing.T) {
	t.Parallel()
	lookUps := new(countingKeys)
	s := newServer(t, limited(api.Rates{Address: api.Rate{PerSecond: 1, Burst: 5}}), func(o *api.Options) {
		lookUps.APIKeys, o.APIKeys = o.APIKeys, lookUps
	})
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLock(hotel)
	for i := range 20 {
		a := s.call("GET", "/locks/42/details", "", as(fmt.Sprint("lk_", i)))
		if i < 5 {
			a.requireError(http.StatusUnauthorized, "api-key-mistyped")
			continue
		}
		a.requireError(http.StatusTooManyRequests, "too-many-requests")
		require.Equal(t, "1", a.header.Get("Retry-After"))
	}
	require.EqualValues(t, 1+5, lookUps.n.Load())
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", as(hotel)).status, "it is known")
	s.call("GET", "/locks/42/details", "", as(hostel)).requireError(http.StatusTooManyRequests, "too-many-requests")
	s.clock.Advance(2 * time.Second)
	require.Equal(t, http.StatusNotFound, s.call("GET", "/locks/42/details", "", as(hostel)).status)
	require.Equal(t, http.StatusNotFound, s.call("GET", "/locks/42/details", "", as(hostel)).status)
}

// A token costs more to verify than a request is worth: whoever makes tokens up has as many verified as they may make requests, and keeps
// nobody else from theirs whose token was good before.
func TestWrongTokensAreCountedByAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t, limited(api.Rates{Address: api.Rate{PerSecond: 1, Burst: 5}}))
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","ownerId":"ann"}`)
	show := func(token string) *answer { return s.call("GET", "/locks/42/details", "", bearer(token)) }
	exhaust := func(first int) {
		t.Helper()
		for i := range 20 {
			a := show(fmt.Sprint(token(t, "ann"), i))
			if i < first {
				a.requireError(http.StatusUnauthorized, "token-invalid")
				continue
			}
			a.requireError(http.StatusTooManyRequests, "too-many-requests")
			require.Equal(t, "1", a.header.Get("Retry-After"))
		}
	}
	known, brief := token(t, "ann"), sign(t, jwt.SigningMethodHS256, tokenSecret, claims{"sub": "ann", "exp": start.Add(time.Minute).Unix()}, nil)
	require.Equal(t, http.StatusOK, show(known).status)
	require.Equal(t, http.StatusOK, show(brief).status)
	exhaust(5)
	require.Equal(t, http.StatusOK, show(known).status)
	show(token(t, "bob")).requireError(http.StatusTooManyRequests, "too-many-requests")
	s.call("POST", "/temp-keys/"+keyUUID+"/open", "", bearer(token(t, "bob")), header("Accept", "application/json")).requireError(http.StatusTooManyRequests, "too-many-requests")
	s.clock.Advance(2 * time.Second)
	require.Equal(t, http.StatusNotFound, show(token(t, "bob")).status)
	require.Equal(t, http.StatusNotFound, show(token(t, "bob")).status)

	// What has expired was good, and is a guess after it was looked at once.
	s.clock.Advance(2 * time.Minute)
	exhaust(5)
	show(brief).requireError(http.StatusUnauthorized, "token-expired")
	show(brief).requireError(http.StatusTooManyRequests, "too-many-requests")
	require.Equal(t, http.StatusOK, show(known).status)
}

// Tokens are new every few minutes. Guests at the same address, and those who make API keys up, keep nobody out who shows a good one, and
// those who make tokens up take nothing of what guests have.
func TestWrongTokensAreCountedBesideRequests(t *testing.T) {
	t.Parallel()
	const burst = 5
	s := newServer(t, limited(api.Rates{Address: api.Rate{PerSecond: 1, Burst: burst}}))
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","ownerId":"ann"}`)
	show := func(options ...option) *answer { return s.call("GET", "/locks/42/details", "", options...) }
	fresh := 0
	annNew := func() option {
		fresh++
		return bearer(sign(t, jwt.SigningMethodHS256, tokenSecret, claims{"sub": "ann", "exp": start.Add(time.Hour).Unix(), "jti": fmt.Sprint(fresh)}, nil))
	}
	guest := func() int {
		return s.call("GET", "/temp-keys/"+keyUUID, "", header("Accept", "application/json")).status
	}
	require.Equal(t, http.StatusNotFound, show(as(hotel)).status, "from now on it is known")

	for i := range 2 * burst {
		guest()
		show(as(fmt.Sprint("lk_", i)))
	}
	require.Equal(t, http.StatusTooManyRequests, guest())
	require.Equal(t, http.StatusOK, show(annNew()).status)
	require.Equal(t, http.StatusOK, show(annNew(), as(hotel)).status)
	show(as(hostel)).requireError(http.StatusTooManyRequests, "too-many-requests")

	s.clock.Advance(time.Minute)
	for i := range 2 * burst {
		status := show(bearer(fmt.Sprint(token(t, "ann"), i))).status
		require.Equal(t, i >= burst, status == http.StatusTooManyRequests, "%d: %d", i, status)
	}
	show(annNew()).requireError(http.StatusTooManyRequests, "too-many-requests")
	show(annNew(), as("lk_1")).requireError(http.StatusUnauthorized, "api-key-mistyped")
	require.Equal(t, http.StatusNotFound, guest())
	require.Equal(t, http.StatusNotFound, show(as(hostel)).status)

	// A good API key vouches for who comes with it.
	for _, key := range []string{hotel, superKey} {
		require.Equal(t, http.StatusOK, show(annNew(), as(key)).status)
		show(bearer(token(t, "ann")+"x"), as(key)).requireError(http.StatusUnauthorized, "token-invalid")
	}
	require.Equal(t, "3", show(annNew()).header.Get("Retry-After"), "those two were wrong, and count")
	s.clock.Advance(2 * time.Second)
	require.Equal(t, "1", show(annNew()).header.Get("Retry-After"))
	s.clock.Advance(time.Second)
	require.Equal(t, http.StatusOK, show(annNew()).status)
	require.Equal(t, http.StatusOK, show(annNew()).status, "good ones cost nothing")
}

// While the journal is away nobody's key can be told from one that was made up, and when it is back nobody has to wait for that.
func TestAnOutageIsNoGuess(t *testing.T) {
	t.Parallel()
	keys := new(countingKeys)
	s := newServer(t, limited(api.Rates{Address: api.Rate{PerSecond: 1, Burst: 5}}), func(o *api.Options) {
		keys.APIKeys, o.APIKeys = o.APIKeys, keys
	})
	hotel := s.orgKey("hotel-9")
	s.withLock(superKey)
	s.withKey(superKey, "")
	keys.away.Store(true)
	for range 20 {
		a := s.call("GET", "/locks/42/details", "", as(hotel))
		a.requireError(http.StatusServiceUnavailable, "unavailable")
		require.Equal(t, "1", a.header.Get("Retry-After"))
	}
	keys.away.Store(false)
	require.Equal(t, http.StatusOK, s.call("GET", "/temp-keys/"+keyUUID, "").status, "a guest at the same address")
	require.Equal(t, http.StatusNotFound, s.call("GET", "/locks/42/details", "", as(hotel)).status)
}

// Who does not wait for the answer has guessed if the key was made up, and not if it was good.
func TestWhoLeavesMayHaveGuessed(t *testing.T) {
	t.Parallel()
	const burst = 5
	s := newServer(t, limited(api.Rates{Address: api.Rate{PerSecond: 1, Burst: burst}}))
	ours, other := make([]string, burst), newServer(t).orgKey("hotel-9")
	for i := range ours {
		ours[i] = s.orgKey(fmt.Sprint("hotel-", i))
	}
	last := s.orgKey("hostel-2")
	gone, leave := context.WithCancel(t.Context())
	leave()
	show := func(ctx context.Context, key string) int {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/locks/42/details", nil)
		r.Header.Set("X-API-Key", key)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w.Code
	}
	for _, key := range ours {
		show(gone, key)
	}
	require.Equal(t, http.StatusUnauthorized, show(t.Context(), other), "good keys cost nothing")
	for range burst {
		show(gone, other)
	}
	require.Equal(t, http.StatusTooManyRequests, show(t.Context(), last))
}

// countingKeys count what is looked up, and can be away.
type countingKeys struct {
	api.APIKeys
	n    atomic.Int64
	away atomic.Bool
}

func (c *countingKeys) Authenticate(ctx context.Context, secret string) (tenant.Key, error) {
	c.n.Add(1)
	if c.away.Load() {
		return tenant.Key{}, fmt.Errorf("%w: connection refused", tenant.ErrUnavailable)
	}
	return c.APIKeys.Authenticate(ctx, secret)
}
