package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/lock"
)

// An open whose answer got lost is not asked for again: the page leads to what became of it.
func TestAGuestIsLedToWhatBecameOfAnOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, `,"maxUses":2`)
	for _, c := range []struct {
		err      error
		status   int
		happened bool // or perhaps not
	}{
		{fmt.Errorf("slow: %w", api.ErrTimeout), http.StatusGatewayTimeout, true}, {errBoom, http.StatusInternalServerError, true},
		{api.ErrBusy, http.StatusServiceUnavailable, false}, {api.ErrUnavailable, http.StatusServiceUnavailable, false},
	} {
		s.kernel.trouble = func() error { return c.err }
		page := s.call("POST", keyPath+"/doors/1/open", "requestId=r%2B1", browser, form)
		require.Equal(t, c.status, page.status)
		to := keyPath + "/confirmation?request=r%2B1&amp;door=1"
		require.Equal(t, c.happened, strings.Contains(page.body, `content="3; url=`+to+`"`), page.body)
		require.Equal(t, c.happened, strings.Contains(page.body, `href="`+to+`"`))
		require.Equal(t, !c.happened, strings.Contains(page.body, "Nothing was opened"))
		require.Equal(t, !c.happened, strings.Contains(page.body, `href="`+keyPath+`"`))

		// That page comes again too, until there is an answer.
		page = s.call("GET", keyPath+"/confirmation?request=r%2B1&door=1", "", browser)
		require.Equal(t, c.status, page.status)
		require.Contains(t, page.body, `content="3; url=`+to+`"`)
		require.NotContains(t, page.body, "Nothing was")
		require.NotContains(t, s.call("GET", keyPath, "", browser).body, "http-equiv")
	}
	s.kernel.trouble = nil
	require.Contains(t, s.call("GET", keyPath+"/confirmation?request=r%2B1&door=1", "", browser).body, "We do not know this request")
	require.Equal(t, http.StatusSeeOther, s.call("POST", keyPath+"/open", "requestId=r%2B1", browser, form).status)
	require.Contains(t, s.call("GET", keyPath+"/confirmation?request=r%2B1&door=1", "", browser).body, `data-outcome="opened"`)

	// A program is told as before.
	s.kernel.trouble = func() error { return api.ErrTimeout }
	s.call("POST", keyPath+"/open", "").requireError(http.StatusGatewayTimeout, "outcome-unknown")
}

func TestACrashedPageLeadsToWhatBecameOfAnOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	s.kernel.trouble = func() error { panic("a bug") }
	page := s.call("POST", keyPath+"/open", "requestId=r1", browser, form)
	require.Equal(t, http.StatusInternalServerError, page.status)
	require.Contains(t, page.body, `url=`+keyPath+`/confirmation?request=r1"`)
}

func TestAGuestIsToldHowLongToWait(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *api.Options) { o.Rates.Target = api.Rate{PerSecond: .2, Burst: 1} })
	s.withLock(superKey)
	s.withKey(superKey, "")
	require.Equal(t, http.StatusOK, s.call("GET", keyPath, "", browser).status)
	page := s.call("POST", keyPath+"/open", "", browser)
	require.Equal(t, http.StatusTooManyRequests, page.status)
	require.Contains(t, page.body, "Nothing was opened. Try again in 5 seconds.")
	require.Contains(t, page.body, `href="`+keyPath+`"`)
	page = s.call("GET", keyPath+"/confirmation?request=r1", "", browser)
	require.Equal(t, http.StatusTooManyRequests, page.status)
	require.Contains(t, page.body, `content="5; url=`+keyPath+`/confirmation?request=r1"`)
}

// stray asks for an address that is near one of the documents' and none of them.
func (s *server) stray(method, path string, accept option) (status int, location string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	require.NoError(s.t, err)
	accept(r)
	response, err := s.client.Do(r)
	require.NoError(s.t, err)
	require.NoError(s.t, response.Body.Close())
	return response.StatusCode, response.Header.Get("Location")
}

// Nobody opens by asking for a page, and nobody who strays near one is left with the words for programs.
func TestABrowserIsLedBackToTheKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	for path, to := range map[string]string{
		keyPath + "/": keyPath, keyPath + "//": keyPath, "/" + keyPath: keyPath, "/" + keyPath + "/": keyPath,
		keyPath + "/open": keyPath, keyPath + "/open/": keyPath, keyPath + "/doors/1/open": keyPath, keyPath + "/x/y": keyPath,
		"/collective" + strings.Replace(keyPath, "/", "-", 1) + "/doors/2/open": keyPath,
		keyPath + "/confirmation/?request=r1&door=1":                            keyPath + "/confirmation?request=r1&door=1",
		"/temp-keys/" + strings.ToUpper(keyUUID) + "/":                          keyPath,
	} {
		status, location := s.stray("GET", path, browser)
		require.Equal(t, http.StatusSeeOther, status, path)
		require.Equal(t, to, location, path)
		_, location = s.stray("GET", path, header("Accept", "application/json"))
		require.Empty(t, location, path)
		_, location = s.stray("PUT", path, browser)
		require.Empty(t, location, path)
	}
	require.Zero(t, s.kernel.opens)
	for _, path := range []string{"/", "/temp-keys/", "/temp-keys//", "//evil.example/temp-keys/" + keyUUID, "/x" + keyPath + "/", "/\\evil.example" + keyPath + "/", "/nowhere"} {
		a := s.call("GET", path, "", browser)
		require.Equal(t, http.StatusNotFound, a.status, path)
		require.Contains(t, a.body, "Open the link once more", path)
		require.NotContains(t, a.body, "openapi")
	}
}

func TestWaysBackFromAnError(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	back := `href="` + keyPath + `"`
	for _, page := range []*answer{
		s.call("GET", keyPath+"/confirmation?door=99", "", browser), s.call("POST", keyPath+"/doors/99/open", "", browser),
		s.call("GET", keyPath+"/confirmation?door=x", "", browser),
	} {
		require.Contains(t, page.body, "No such door")
		require.Contains(t, page.body, back)
	}
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+keyUUID+`"}`).status)
	for _, page := range []*answer{
		s.call("GET", keyPath, "", browser), s.call("POST", keyPath+"/open", "", browser), s.call("GET", keyPath+"/confirmation?request=r1", "", browser),
		s.call("GET", "/temp-keys/"+uuid.NewString(), "", browser),
	} {
		require.Equal(t, http.StatusNotFound, page.status)
		require.Contains(t, page.body, "Ask whoever sent you the link for a new one.")
		require.NotContains(t, page.body, back, "there is nothing to go back to")
	}
}

// Who tapped is told the outcome, though the key is gone by then; who cannot name the request is told nothing.
func TestTheOutcomeOfADeletedKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, `,"maxUses":3`)
	to := s.tap(keyPath).header.Get("Location")
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+keyUUID+`"}`).status)
	page := s.call("GET", to, "", browser)
	require.Equal(t, http.StatusOK, page.status)
	require.Contains(t, page.body, `data-outcome="opened"`)
	require.Contains(t, page.body, "The key was deleted since")
	require.NotContains(t, page.body, `href="`+keyPath+`"`)
	s.clock.Advance(time.Minute)
	require.NotContains(t, s.call("GET", to, "", browser).body, "<form")
	for _, path := range []string{keyPath + "/confirmation?request=other", keyPath + "/confirmation", strings.Replace(to, keyUUID, uuid.NewString(), 1)} {
		require.Equal(t, http.StatusNotFound, s.call("GET", path, "", browser).status)
	}
}

func TestAHeldOpenIsWithdrawnWithItsKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`"}`)
	s.withKey(superKey, "")
	to := s.tap(keyPath).header.Get("Location")
	require.Equal(t, http.StatusOK, s.super("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+keyUUID+`"}`).status)
	page := s.call("GET", to, "", browser)
	require.Contains(t, page.body, `data-outcome="refused"`)
	require.Contains(t, page.body, "changed or revoked before the lock came back")
}

func TestAnOpenThatIsOnItsWay(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, `,"maxUses":5`)
	require.NoError(t, s.kernel.connect(42, nil))
	require.NotContains(t, s.call("GET", keyPath, "", browser).body, "on its way")
	to := s.tap(keyPath).header.Get("Location")
	_, request, _ := strings.Cut(to, "request=")
	require.Contains(t, s.call("GET", keyPath, "", browser).body, `href="`+keyPath+`/confirmation?request=`+request+`"`)
	require.Contains(t, s.call("GET", to, "", browser).body, "counts as another use")
	require.Contains(t, s.call("GET", keyPath+"/confirmation?offline=false", "", browser).body, `data-outcome="none"`)
}

// A page that a browser has kept asks for the same open again, and is told that it was one of some time ago.
func TestAnOpenFromAPageThatWasKept(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, `,"maxUses":5`)
	open := func(request string) string {
		a := s.call("POST", keyPath+"/open", "requestId="+request, browser, form)
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
		return s.call("GET", a.header.Get("Location"), "", browser).body
	}
	require.Contains(t, open("kept"), "Go in")
	s.clock.Advance(12 * time.Second)
	page := open("kept")
	require.NotContains(t, page, "Go in")
	require.Contains(t, page, "You asked 12 seconds ago")
	require.Equal(t, 1, s.kernel.opens)
	fresh := requestField.FindStringSubmatch(page)
	require.NotNil(t, fresh, "it offers another one")
	require.Contains(t, open(fresh[1]), "Go in")
	require.Equal(t, 2, s.kernel.opens)

	require.NoError(t, s.kernel.connect(42, func(id lock.CommandID) *lock.AnswerOpen {
		return &lock.AnswerOpen{Session: lock.Session{Node: "n1", ID: 1}, CommandID: id, Executed: lock.WasExecuted, Code: "Jammed"}
	}))
	page = open("jam")
	require.Contains(t, page, "answered that it is jammed. It may have opened: try the door.")
	require.NotContains(t, page, "http-equiv", "nobody will ever know more")
	require.NotNil(t, requestField.FindStringSubmatch(page))
}
