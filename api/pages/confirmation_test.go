package pages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/lock"
)

// public is a key for whoever has its link.
func public(status lock.Status) *lock.TempKeyInfo {
	i := info(status)
	i.Key.AccessMode = lock.Public
	return i
}

func confirmation(status lock.Status, o lock.OpenResult, ago time.Duration) *pages.Confirmation {
	o.At, o.Deadline = now.Add(-ago), now.Add(5*time.Second-ago)
	return &pages.Confirmation{
		Info: public(status), Open: &o, Named: true, Back: "/temp-keys/x", Action: "/temp-keys/x/open", RequestID: "fresh", Now: now,
	}
}

func TestAnOldAnswerIsNotTakenForTheDoorOfNow(t *testing.T) {
	t.Parallel()
	const form, tick, goIn = `<form method="post" action="/temp-keys/x/open">`, "M14 25l7 7 13-15", "Go in"
	opened := lock.OpenResult{Outcome: lock.Opened, Final: true}

	html := render(t, confirmation(lock.StatusValid, opened, 2*time.Second))
	require.Contains(t, html, goIn)
	require.Contains(t, html, tick)
	require.NotContains(t, html, "<form")

	html = render(t, confirmation(lock.StatusValid, opened, 14*time.Second))
	require.Contains(t, html, "You asked 14 seconds ago, and the lock opened. It may have locked since.")
	require.Contains(t, html, form)
	require.Contains(t, html, `name="requestId" value="fresh"`)
	require.NotContains(t, html, goIn)
	require.NotContains(t, html, tick)

	// What was opened at the last instant has just opened, however long it was held.
	held := confirmation(lock.StatusValid, opened, 30*time.Second)
	held.Open.Deadline = now.Add(-time.Second)
	require.Contains(t, render(t, held), goIn)
}

func TestAConfirmationOpensAgainWhereThatIsWhatIsLeft(t *testing.T) {
	t.Parallel()
	personal, code := confirmation(lock.StatusValid, lock.OpenResult{Outcome: lock.Refused}, 0), confirmation(lock.StatusValid, lock.OpenResult{Outcome: lock.Refused}, 0)
	personal.Info.Key.AccessMode = lock.UserWhitelist
	code.Info.Key.Door = &lock.Door{PIN: []byte("hash")}
	for name, c := range map[string]struct {
		page *pages.Confirmation
		want bool
	}{
		"refused":          {confirmation(lock.StatusValid, lock.OpenResult{Outcome: lock.Refused}, 0), true},
		"expired":          {confirmation(lock.StatusValid, lock.OpenResult{Outcome: lock.Expired}, 0), true},
		"jammed for ever":  {confirmation(lock.StatusValid, lock.OpenResult{Outcome: lock.Unknown, Final: true}, 0), true},
		"unknown":          {confirmation(lock.StatusValid, lock.OpenResult{Outcome: lock.Unknown}, 6*time.Second), false},
		"unknown for long": {confirmation(lock.StatusValid, lock.OpenResult{Outcome: lock.Unknown}, time.Minute), true},
		"sent":             {confirmation(lock.StatusValid, lock.OpenResult{Outcome: lock.Sent}, time.Minute), false},
		"the key is over":  {confirmation(lock.StatusExpired, lock.OpenResult{Outcome: lock.Refused}, 0), false},
		"used up":          {confirmation(lock.StatusUsedUp, lock.OpenResult{Outcome: lock.Opened}, time.Minute), false},
		"not known":        {&pages.Confirmation{Info: public(lock.StatusValid), Named: true, Now: now}, false},
		"certain people":   {personal, false},
		"by code":          {code, false},
	} {
		require.Equal(t, c.want, strings.Contains(render(t, c.page), "<form"), name)
	}
}

func TestOnlyALockThatSaidNothingDidNotAnswer(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"no-answer": "the lock did not answer", "given-up": "the lock did not answer", "device-replaced": "the lock did not answer",
		"jammed": "answered that it is jammed", "low-battery": "answered that its battery is low", "device-error": "something went wrong",
		"journal-lost": "has started anew", "device-busy": "answered that it was busy",
	} {
		html := render(t, confirmation(lock.StatusValid, lock.OpenResult{Outcome: lock.Unknown, Reason: reason, Final: reason != "no-answer"}, 0))
		require.Contains(t, html, want, reason)
		require.Contains(t, html, "It may have opened: try the door.", reason)
		silent := strings.Contains(want, "did not answer")
		require.Equal(t, silent, strings.Contains(html, "did not answer"), reason)
		require.Equal(t, silent, strings.Contains(html, "No answer"), reason)
		require.Equal(t, reason == "no-answer", strings.Contains(html, "http-equiv"), reason)
	}
}

// What the door reports is older than the answer, or has nothing to do with it.
func TestAConfirmationDoesNotContradictItself(t *testing.T) {
	t.Parallel()
	for _, o := range []lock.Outcome{lock.Reserved, lock.Sent, lock.Opened, lock.Refused, lock.Expired, lock.Unknown} {
		p := confirmation(lock.StatusValid, lock.OpenResult{Outcome: o}, 0)
		p.Info.Reported, p.Info.Online = lock.Reported{Door: "closed", Bolt: "locked"}, true
		html := render(t, p)
		require.NotContains(t, html, "Bolt", o)
		require.NotContains(t, html, "closed", o)
		require.NotContains(t, html, "SN-1", o)
		require.Equal(t, p.Waiting(), strings.Contains(html, "Connection"), o)
	}
}

func TestWhoWaitsIsToldThatAnotherTapCounts(t *testing.T) {
	t.Parallel()
	for _, o := range []lock.Outcome{lock.Reserved, lock.Sent} {
		html := render(t, confirmation(lock.StatusValid, lock.OpenResult{Outcome: o}, time.Second))
		require.Contains(t, html, "counts as another use")
		require.Contains(t, html, `<a class="button quiet" href="">Check again</a>`)
		require.NotContains(t, html, `<a class="button quiet" href="/temp-keys/x">`)
		require.Contains(t, html, `<a href="/temp-keys/x">`, "there is a way back all the same")
	}
	key := &pages.Key{Info: public(lock.StatusValid), Now: now, RequestID: "r"}
	require.NotContains(t, render(t, key), "on its way")
	key.Info.Open = &lock.OpenResult{RequestID: "a&b=c", Outcome: lock.Sent}
	require.Contains(t, render(t, key), `/confirmation?request=a%26b%3dc">See what becomes of it</a>`)
}

func TestWhatIsKnownGoesBeforeWhatAnAddressSays(t *testing.T) {
	t.Parallel()
	known := confirmation(lock.StatusValid, lock.OpenResult{Outcome: lock.Opened}, 0)
	known.Offline = true
	require.NotContains(t, render(t, known), "was offline")
	unknown := &pages.Confirmation{Info: info(lock.StatusValid), Now: now, Offline: true, Named: true}
	require.Contains(t, render(t, unknown), "We do not know this request")
	require.NotContains(t, render(t, unknown), "was offline")
	unnamed := &pages.Confirmation{Info: info(lock.StatusValid), Now: now, Offline: true}
	require.Contains(t, render(t, unnamed), "was offline when it was told to open, as this address says")
	require.NotContains(t, render(t, unnamed), "was sent")
}

// A role that a heading is given takes its own away.
func TestHeadingsAreHeadings(t *testing.T) {
	t.Parallel()
	for name, page := range all() {
		require.Contains(t, render(t, page), "<h1>", name)
	}
}

func TestErrorsSpeakToGuests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		page       pages.Error
		want, link string
	}{
		{pages.Error{Status: 404, Reason: "route-not-found"}, "Open the link once more", ""},
		{pages.Error{Status: 404, Reason: "temp-key-not-found"}, "Ask whoever sent you the link", ""},
		{pages.Error{Status: 404, Reason: "door-not-found", Back: "/temp-keys/x"}, "No such door", `href="/temp-keys/x">Back to the key`},
		{pages.Error{Status: 429, Reason: "too-many-requests", Wait: 7, Back: "/temp-keys/x"}, "Try again in 7 seconds", `href="/temp-keys/x">Back to the key`},
		{pages.Error{Status: 409, Reason: "request-id-reused", Back: "/temp-keys/x"}, "tap Open once more", `href="/temp-keys/x">Back to the key`},
		{pages.Error{Status: 500, Reason: "internal"}, "tell whoever sent you the key", ""},
		{pages.Error{Status: 504, Reason: "outcome-unknown", Back: "/temp-keys/x", Check: "/c?request=r&door=1"}, "We cannot tell right now", `href="/c?request=r&amp;door=1">Check again`},
	} {
		c.page.Message = "GET /openapi.json, see Allow"
		html := render(t, &c.page)
		require.Contains(t, html, c.want, c.page.Reason)
		require.Contains(t, html, c.link, c.page.Reason)
		require.NotContains(t, html, c.page.Message, c.page.Reason)
		if c.page.Check != "" {
			require.Contains(t, html, `<meta http-equiv="refresh" content="3; url=/c?request=r&amp;door=1">`)
			require.NotContains(t, html, "Back to the key", "a tap there would count as another use")
		}
	}
}
