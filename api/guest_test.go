package api_test

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/lock"
)

const keyPath = "/temp-keys/" + keyUUID

var browser = header("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")

func form(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }

var requestField = regexp.MustCompile(`name="requestId" value="([^"]+)"`)

// tap opens the key's page and taps its button, as a browser does.
func (s *server) tap(path string, options ...option) *answer {
	s.t.Helper()
	page := s.call("GET", path, "", browser)
	require.Equal(s.t, http.StatusOK, page.status, page.body)
	field := requestField.FindStringSubmatch(page.body)
	require.NotNil(s.t, field, page.body)
	return s.call("POST", path+"/open", "requestId="+field[1], append(options, browser, form, header("Origin", s.url), header("Sec-Fetch-Site", "same-origin"))...)
}

func TestAGuestOpens(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, `,"maxUses":2`)

	page := s.call("GET", keyPath, "", browser)
	require.Contains(t, page.body, `data-status="valid"`)
	require.Contains(t, page.body, "2 of 2")
	require.Contains(t, page.body, "Acme")
	require.Equal(t, "same-origin", page.header.Get("Referrer-Policy"))
	require.Equal(t, "no-store", page.header.Get("Cache-Control"))
	require.Equal(t, "nosniff", page.header.Get("X-Content-Type-Options"))
	require.Contains(t, page.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.NotContains(t, page.body, "<script")
	require.NotContains(t, page.body, deviceUUID)

	a := s.tap(keyPath)
	require.Equal(t, http.StatusSeeOther, a.status, a.body)
	to, err := url.Parse(a.header.Get("Location"))
	require.NoError(t, err)
	require.Equal(t, keyPath+"/confirmation", to.Path)
	require.Equal(t, "false", to.Query().Get("offline"))
	require.NotEmpty(t, to.Query().Get("request"))

	confirmation := s.call("GET", to.String(), "", browser)
	require.Equal(t, http.StatusOK, confirmation.status)
	require.Contains(t, confirmation.body, `data-outcome="opened"`)
	require.Contains(t, confirmation.body, `href="`+keyPath+`"`)
	require.Contains(t, confirmation.body, "1 of 2")
	require.Contains(t, confirmation.body, `http-equiv="refresh" content="11"`, "once more, when it may have locked again")
	s.clock.Advance(11 * time.Second)
	require.NotContains(t, s.call("GET", to.String(), "", browser).body, "http-equiv=\"refresh\"")
	require.Equal(t, 1, s.kernel.opens)
}

func TestADoubleTapCountsOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, `,"maxUses":5`)
	locations := make(chan string, 20)
	var taps sync.WaitGroup
	for range cap(locations) {
		taps.Go(func() { locations <- s.call("POST", keyPath+"/open", "requestId=tap1", form).header.Get("Location") })
	}
	taps.Wait()
	for range cap(locations) {
		require.Equal(t, keyPath+"/confirmation?offline=false&request=tap1", <-locations)
	}
	require.Equal(t, 1, s.kernel.opens)
	require.Contains(t, s.call("GET", keyPath, "").body, "4 of 5")
}

func TestWaysToNameAGuestsRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	named := func(a *answer) {
		t.Helper()
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
		require.True(t, strings.HasSuffix(a.header.Get("Location"), "request=r1"), a.header.Get("Location"))
	}
	named(s.call("POST", keyPath+"/open", "requestId=r1", form))
	named(s.call("POST", keyPath+"/open", `{"requestId":"r1"}`))
	named(s.call("POST", keyPath+"/open", "", header("Idempotency-Key", "r1")))
	named(s.call("POST", keyPath+"/open", `{"requestId":"r1"}`, header("Idempotency-Key", "r1")))
	named(s.call("POST", strings.ToUpper(keyPath)[:1]+strings.ToLower(keyPath)[1:11]+strings.ToUpper(keyUUID)+"/open", "requestId=r1", form))
	require.Equal(t, 1, s.kernel.opens)
	require.Equal(t, http.StatusSeeOther, s.call("POST", keyPath+"/open", "").status)
	require.Equal(t, http.StatusSeeOther, s.call("POST", keyPath+"/open", "requestId=", form).status)
	require.Equal(t, 3, s.kernel.opens)

	for _, c := range []struct{ body, reason, field string }{
		{"requestId=a&requestId=b", "field-twice", "requestId"}, {"requestId=a&x=1", "field-unknown", "x"}, {"requestId=%zz", "body-unreadable", ""},
		{"requestId=a;x=1", "body-unreadable", ""}, {"requestId=a+b", "request-id-invalid", "requestId"},
	} {
		v := s.call("POST", keyPath+"/open", c.body, form).requireError(http.StatusBadRequest, c.reason)
		require.Equal(t, c.field, cmp.Or[any](v["field"], ""), c.body)
	}
	s.call("POST", keyPath+"/open", "", header("Idempotency-Key", "a b")).requireError(http.StatusBadRequest, "request-id-invalid")
	s.call("POST", keyPath+"/open", "", header("Idempotency-Key", "a"), header("Idempotency-Key", "b")).requireError(http.StatusBadRequest, "parameter-twice")
	s.call("POST", keyPath+"/open", "requestId=a", form, header("Idempotency-Key", "b")).requireError(http.StatusBadRequest, "request-id-invalid")
	s.call("POST", keyPath+"/open", "hello", func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }).requireError(http.StatusUnsupportedMediaType, "content-type")
	require.Equal(t, 3, s.kernel.opens)

	s.super("POST", "/locks/42/OpenLock", `{"requestId":"r1"}`).requireError(http.StatusConflict, "request-id-reused")
}

func TestAGuestAtAnOfflineLock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`"}`)
	s.withKey(superKey, `,"maxUses":1`)
	require.Contains(t, s.call("GET", keyPath, "").body, "offline right now")
	a := s.tap(keyPath)
	require.Equal(t, http.StatusSeeOther, a.status)
	to := a.header.Get("Location")
	require.Contains(t, to, "offline=true")
	page := s.call("GET", to, "")
	require.Contains(t, page.body, `data-outcome="reserved"`)
	require.Contains(t, page.body, `http-equiv="refresh"`)

	s.clock.Advance(11 * time.Second)
	_, err := s.kernel.Do(t.Context(), 42, &lock.Tick{})
	require.NoError(t, err)
	page = s.call("GET", to, "")
	require.Contains(t, page.body, `data-outcome="expired"`)
	require.Contains(t, page.body, "not counted")
	require.Contains(t, page.body, "1 of 1")
	require.NotContains(t, page.body, `http-equiv="refresh"`)
}

func TestALockThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, `,"maxUses":1`)
	require.NoError(t, s.kernel.connect(42, nil))
	to := s.tap(keyPath).header.Get("Location")
	page := s.call("GET", to, "")
	require.Contains(t, page.body, `data-outcome="sent"`)
	require.Contains(t, page.body, `http-equiv="refresh"`)

	s.clock.Advance(7 * time.Second)
	_, err := s.kernel.Do(t.Context(), 42, &lock.Tick{})
	require.NoError(t, err)
	page = s.call("GET", to, "")
	require.Contains(t, page.body, `data-outcome="unknown"`)
	require.Contains(t, page.body, "stays counted")
	require.Contains(t, page.body, `http-equiv="refresh"`, "the lock may come back and tell")

	s.clock.Advance(3 * time.Minute)
	page = s.call("GET", to, "")
	require.NotContains(t, page.body, `http-equiv="refresh"`)
	require.Contains(t, page.body, "3 minutes ago")
}

func TestALockThatRefuses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, `,"maxUses":1`)
	require.NoError(t, s.kernel.connect(42, jams))
	page := s.call("GET", s.tap(keyPath).header.Get("Location"), "")
	require.Contains(t, page.body, `data-outcome="refused"`)
	require.Contains(t, page.body, "jammed")
	require.Contains(t, page.body, "not counted")
}

func TestKeysThatDoNotOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	create := func(uuid, more string) {
		a := s.super("POST", "/locks/42/create-temp-key", `{"tempKeyUuid":"`+uuid+`",`+more+`}`)
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	const id = "00000000-0000-4000-8000-00000000000"
	create(id+"1", `"accessMode":"public","validFrom":"2026-04-01T10:00:00Z","validUntil":"2026-05-01T10:00:00Z"`)
	create(id+"2", `"accessMode":"public","validFrom":"2026-05-01T10:00:00.001Z","validUntil":"2026-05-02T10:00:00Z"`)
	create(id+"3", `"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z","maxUses":1`)
	create(id+"4", `"accessMode":"user-whitelist","allowedUserIds":["ann"],"validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z"`)
	create(id+"5", `"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z"`)
	require.Equal(t, http.StatusSeeOther, s.tap("/temp-keys/"+id+"3").status)
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+id+`5"}`).status)
	opens := s.kernel.opens

	for _, c := range []struct {
		uuid, reason, page string
		status             int
	}{
		{id + "1", "temp-key-expired", `data-status="expired"`, http.StatusForbidden},
		{id + "2", "temp-key-not-yet-valid", `data-status="not-yet-valid"`, http.StatusForbidden},
		{id + "3", "temp-key-used-up", `data-status="used-up"`, http.StatusForbidden},
		{id + "4", "temp-key-not-for-you", `data-status="valid"`, http.StatusForbidden},
		{id + "5", "temp-key-not-found", "", http.StatusNotFound},
		{id + "6", "temp-key-not-found", "", http.StatusNotFound},
	} {
		path := "/temp-keys/" + c.uuid
		s.call("POST", path+"/open", "").requireError(c.status, c.reason)
		refusal := s.call("POST", path+"/open", "", browser)
		require.Equal(t, c.status, refusal.status)
		require.Equal(t, "text/html; charset=utf-8", refusal.header.Get("Content-Type"))
		require.Contains(t, refusal.body, `data-reason="`+c.reason+`"`)
		require.Equal(t, c.status == http.StatusForbidden, strings.Contains(refusal.body, `href="`+path+`"`))

		page := s.call("GET", path, "", browser)
		if c.page == "" {
			require.Equal(t, http.StatusNotFound, page.status)
			s.call("GET", path, "", header("Accept", "application/json")).requireError(http.StatusNotFound, c.reason)
			require.Equal(t, http.StatusNotFound, s.call("GET", path+"/confirmation?offline=null", "").status)
			continue
		}
		require.Contains(t, page.body, c.page)
		require.NotContains(t, page.body, "<button", "nor has a personal key one: a browser brings no token")
		require.NotContains(t, page.body, "Connection", "who cannot go in has no business watching the door")
		require.Equal(t, c.reason == "temp-key-not-yet-valid", strings.Contains(page.body, "whoever has it can open"), c.reason)
	}
	require.Equal(t, opens, s.kernel.opens)
	require.Contains(t, s.call("GET", "/temp-keys/"+id+"4", "", browser).body, "in the app of whoever sent it")

	a := s.call("POST", "/temp-keys/"+id+"4/open", "", bearer(token(t, "ann")))
	require.Equal(t, http.StatusSeeOther, a.status)
	require.NotContains(t, s.call("GET", a.header.Get("Location"), "").body, "Connection", "whoever has this link does not have her token")
	s.call("POST", "/temp-keys/"+id+"4/open", "", bearer(token(t, "bob"))).requireError(http.StatusForbidden, "temp-key-not-for-you")
	s.call("POST", "/temp-keys/"+id+"4/open", "", bearer("wrong")).requireError(http.StatusUnauthorized, "token-invalid")
}

func TestMalformedKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, uuid := range []string{"x", "%00", keyUUID + "0", keyUUID[1:], "{" + keyUUID + "}", "..%2f..", "%3Cscript%3E"} {
		for _, page := range []string{"", "/confirmation", "/confirmation?request=r1&offline=true"} {
			a := s.call("GET", "/temp-keys/"+uuid+page, "", browser)
			require.Equal(t, http.StatusNotFound, a.status)
			require.NotContains(t, a.body, "<script")
		}
		s.call("POST", "/temp-keys/"+uuid+"/open", "").requireError(http.StatusBadRequest, "temp-key-uuid-invalid")
	}
}

func TestConfirmationOfARequestThatIsNotKnown(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	s.super("POST", "/locks/42/OpenLock", `{"requestId":"r1"}`)
	for _, query := range []string{"", "?offline=null", "?offline=false&request=never", "?request=r1", "?request=%00", "?offline=maybe"} {
		page := s.call("GET", keyPath+"/confirmation"+query, "")
		require.Equal(t, http.StatusOK, page.status)
		require.Contains(t, page.body, `data-outcome="none"`, query)
		require.NotContains(t, page.body, "Opened")
	}
	require.Contains(t, s.call("GET", keyPath+"/confirmation?offline=true", "").body, "was offline")
}

func TestOtherWebSitesCannotOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *api.Options) { o.PublicURL = "https://keys.example.com" })
	s.withLock(superKey)
	s.withKey(superKey, "")
	for _, foreign := range [][]option{
		{header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example")},
		{header("Sec-Fetch-Site", "same-site")}, {header("Origin", "https://evil.example")}, {header("Origin", "null")},
	} {
		a := s.call("POST", keyPath+"/open", "requestId=r1", append(foreign, form, browser)...)
		require.Equal(t, http.StatusForbidden, a.status)
		require.Contains(t, a.body, `data-reason="cross-origin"`)
	}
	require.Zero(t, s.kernel.opens)
	for _, own := range [][]option{
		{}, {header("Sec-Fetch-Site", "same-origin")}, {header("Sec-Fetch-Site", "none")}, {header("Origin", s.url)},
		{header("Origin", "https://keys.example.com"), header("Sec-Fetch-Site", "same-origin")}, {header("Origin", "https://keys.example.com")},
	} {
		require.Equal(t, http.StatusSeeOther, s.call("POST", keyPath+"/open", "", own...).status)
	}
	require.Contains(t, s.super("GET", "/locks/42/temp-keys", "").body, `"url":"https://keys.example.com/temp-keys/`)
}
