package pages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/lock"
)

// A page has the button, the state of the door and the warning about its link only where they are true, and meant for whoever has it.
func TestWhatAKeysPageShows(t *testing.T) {
	t.Parallel()
	personal := func(i *lock.TempKeyInfo) { i.Key.AccessMode = lock.UserWhitelist }
	byCode := func(i *lock.TempKeyInfo) { i.Key.Door = &lock.Door{PIN: []byte("hash")} }
	for _, c := range []struct {
		status       lock.Status
		of           func(*lock.TempKeyInfo)
		state, why   string
		open, secret bool
	}{
		{lock.StatusValid, nil, "Valid now", "", true, true},
		{lock.StatusNotYetValid, nil, "Not valid yet", "You can open from", false, true},
		{lock.StatusUsedUp, nil, "Used up", "Ask whoever sent it", false, false},
		{lock.StatusExpired, nil, "Expired", "Ask whoever sent it", false, false},
		{lock.StatusValid, personal, "For certain people", "in the app of whoever sent it, signed in", false, false},
		{lock.StatusNotYetValid, personal, "Not valid yet", "You can open from", false, false},
		{lock.StatusExpired, personal, "Expired", "Ask whoever sent it", false, false},
		{lock.StatusValid, byCode, "Valid now", "with the code, at the door", false, false},
	} {
		i := info(c.status)
		i.Online, i.Reported = true, lock.Reported{Door: "open", Bolt: "unlocked"}
		if c.of != nil {
			c.of(i)
		}
		html := render(t, &pages.Key{Info: i, Now: now, RequestID: "r"})
		require.Contains(t, html, `<p class="state">`+c.state+`</p>`)
		require.Contains(t, html, c.why)
		require.Equal(t, c.secret, strings.Contains(html, "whoever has it can open"), c)
		confirmation := render(t, &pages.Confirmation{Info: i, Now: now, Open: &lock.OpenResult{Outcome: lock.Sent, At: now, Deadline: now}})
		for _, live := range []string{"SN-1", "Online", "open</dd>", "unlocked", "<button"} {
			require.Equal(t, c.open, strings.Contains(html, live), "%s %v", live, c)
			if !c.open {
				require.NotContains(t, confirmation, live)
			}
		}
	}
}

// A chat keeps the preview of a link for ever: it must not say what is true only now, nor tell a code.
func TestAPreviewSaysNothingThatChanges(t *testing.T) {
	t.Parallel()
	for _, page := range []pages.Page{&pages.Key{Info: info(lock.StatusValid), Now: now}, shared(now)} {
		head, _, _ := strings.Cut(render(t, page), "<title>")
		require.Contains(t, head, `<meta property="og:title" content="Your key">`)
		require.Contains(t, head, `<meta property="og:description" content="Open this link when you are at the door.">`)
	}
}

func TestAPageComesAgainWhenTheKeyBegins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wait time.Duration
		want int
	}{
		{-time.Second, 1}, {time.Millisecond, 1}, {90*time.Second + 1, 91}, {10 * time.Minute, 600}, {10*time.Minute + 1, 0}, {48 * time.Hour, 0},
	} {
		i := info(lock.StatusNotYetValid)
		i.Key.ValidFrom = now.Add(c.wait)
		require.Equal(t, c.want, (&pages.Key{Info: i, Now: now}).Refresh(), c.wait)
		if c.wait > 0 {
			p := shared(now)
			p.Key.ValidFrom = now.Add(c.wait)
			require.Equal(t, c.want, p.Refresh(), c.wait)
			require.Equal(t, c.want != 0, strings.Contains(render(t, p), `http-equiv="refresh"`))
		}
	}
	require.Contains(t, render(t, &pages.Key{Info: func() *lock.TempKeyInfo {
		i := info(lock.StatusNotYetValid)
		i.Key.ValidFrom = now.Add(time.Minute)
		return i
	}(), Now: now}), `<meta http-equiv="refresh" content="60">`)
	require.Zero(t, (&pages.Key{Info: info(lock.StatusValid), Now: now}).Refresh())
	require.Zero(t, shared(now).Refresh())
}

// A platform says the year 9999 for "for ever". A time.Duration ends at 292 years, and grace may reach into the year 10000.
func TestWhatIsFarAwayIsNotCounted(t *testing.T) {
	t.Parallel()
	end, begin := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	i := info(lock.StatusValid)
	i.Key.ValidFrom, i.Key.ValidUntil, i.Key.GraceBeforeSeconds, i.Key.GraceAfterSeconds = begin, end, 60, 60
	html := render(t, &pages.Key{Info: i, Now: now})
	require.Contains(t, html, "31 Dec 9999, 23:59 UTC")
	require.Contains(t, html, "1 Jan 0001, 00:00 UTC")
	require.NotContains(t, html, "10000")
	require.NotContains(t, html, " left</small>")
	p := shared(now)
	p.Key.ValidUntil = end
	require.NotContains(t, render(t, p), " left</small>")
	i = info(lock.StatusNotYetValid)
	i.Key.ValidFrom, p.Key.ValidFrom = end.Add(-time.Hour), end.Add(-time.Hour)
	for _, page := range []interface {
		pages.Page
		Why() string
		Refresh() int
	}{&pages.Key{Info: i, Now: now}, p} {
		require.Equal(t, "You can open from 31 Dec 9999, 22:59 UTC on.", page.Why())
		require.Zero(t, page.Refresh())
	}
}

func TestDurationsAreNotCutShort(t *testing.T) {
	t.Parallel()
	for wait, want := range map[time.Duration]string{
		2*24*time.Hour + 22*time.Hour + 59*time.Minute: "2 days 22 hours", 48 * time.Hour: "2 days", 49 * time.Hour: "2 days 1 hour",
		47*time.Hour + 59*time.Minute: "47 hours 59 minutes", 2 * time.Hour: "2 hours", 2*time.Hour + time.Minute: "2 hours 1 minute",
		119 * time.Minute: "119 minutes", time.Minute: "1 minute", 59*time.Second + 1: "60 seconds", time.Second: "1 second",
	} {
		i := info(lock.StatusNotYetValid)
		i.Key.ValidFrom = now.Add(wait)
		require.Contains(t, (&pages.Key{Info: i, Now: now}).Why(), "in about "+want+".", wait)
	}
}
