package pages_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/lock"
)

const office = `{"timeZone":"Europe/Berlin","rules":[{"days":["mon","tue","wed","thu","fri"],"from":"08:00","until":"14:00"}]}`

func hours(text string) *lock.Schedule {
	s := new(lock.Schedule)
	if err := json.Unmarshal([]byte(text), s); err != nil {
		panic(err)
	}
	return s
}

// scheduled is the page of a key from January until next year that opens in the mornings of workdays; in Berlin it is Friday, 12:00.
func scheduled(status lock.Status) *pages.Key {
	i := info(status)
	i.Key.ValidFrom, i.Key.ValidUntil = now.AddDate(0, -4, 0), now.AddDate(1, 0, 0)
	i.Key.Schedule = hours(office)
	end := now.Add(2 * time.Hour)
	monday := now.AddDate(0, 0, 3)
	switch status {
	case lock.StatusValid:
		i.Key.OpenUntil = &end
	case lock.StatusNotYetValid:
		noon := monday.Add(2 * time.Hour)
		i.Key.NextWindow = &lock.NextWindow{From: monday.Add(-4 * time.Hour), Until: &noon}
	}
	return &pages.Key{Info: i, Now: now, RequestID: "r"}
}

func told(p *pages.Key) (lines []string) {
	for _, at := range p.Times() {
		lines = append(lines, at.Name+": "+at.Text)
	}
	return lines
}

// The end of today's hours is told apart from the end of the key, and both as the clock at the door shows them.
func TestTimesOfAKey(t *testing.T) {
	t.Parallel()
	const goodUntil = "Key good until: 1 May 2027, 12:00 Berlin time"
	require.Equal(t, []string{"Open until: 1 May 2026, 14:00 Berlin time", goodUntil}, told(scheduled(lock.StatusValid)))
	require.Equal(t, []string{"Opens: 4 May 2026, 08:00 Berlin time", "Open until: 4 May 2026, 14:00 Berlin time", goodUntil}, told(scheduled(lock.StatusNotYetValid)))
	require.Equal(t, "You can open from 4 May 2026, 08:00 Berlin time on, in about 2 days 20 hours.", scheduled(lock.StatusNotYetValid).Why())
	require.Equal(t, []string{goodUntil}, told(scheduled(lock.StatusUsedUp)))
	require.Empty(t, told(scheduled(lock.StatusExpired)), "nothing that is to come, for nothing comes")
	require.NotContains(t, render(t, scheduled(lock.StatusExpired)), "Hours")

	last := scheduled(lock.StatusValid)
	last.Info.Key.ValidUntil = *last.Info.Key.OpenUntil
	require.Equal(t, []string{"Open until: 1 May 2026, 14:00 Berlin time"}, told(last))
	long := scheduled(lock.StatusValid)
	long.Info.Key.OpenUntil = nil
	require.Equal(t, []string{goodUntil}, told(long), "no end is told that is not known")

	html := render(t, scheduled(lock.StatusValid))
	require.Contains(t, html, "Mon–Fri 08:00–14:00")
	require.Contains(t, html, "Hours<small>Berlin time</small>")
	require.Contains(t, html, "2 hours left")
	require.Equal(t, 1, strings.Count(html, " left</small>"))
}

// What opens earlier than it says, by its grace, also reads so.
func TestTimesOfAKeyWithGrace(t *testing.T) {
	t.Parallel()
	i := info(lock.StatusValid)
	i.Key.ValidFrom, i.Key.ValidUntil = now.Add(5*time.Minute), now.Add(time.Hour)
	i.Key.GraceBeforeSeconds, i.Key.GraceAfterSeconds = 600, 60
	end := i.Key.Bounds().Until
	i.Key.OpenUntil = &end
	require.Equal(t, []string{"From: 1 May 2026, 09:55 UTC", "Until: 1 May 2026, 11:01 UTC"}, told(&pages.Key{Info: i, Now: now}))
}

func TestHoursOfASchedule(t *testing.T) {
	t.Parallel()
	const from = `,"from":"08:00","until":"12:00"}`
	for _, c := range []struct {
		schedule      string
		before, after int64
		want          []string
	}{
		{`{"timeZone":"UTC","rules":[{"days":["mon","tue","thu","fri","sat","sun"]` + from + `]}`, 0, 0, []string{"Mon, Tue, Thu–Sun 08:00–12:00"}},
		{`{"timeZone":"UTC","rules":[{"days":["wed"]` + from + `,{"days":["sun"],"from":"22:00","until":"06:00"}]}`, 600, 0,
			[]string{"Wed 08:00–12:00", "Sun 22:00–06:00 (next day)", "Opens 10 minutes earlier"}},
		{`{"timeZone":"UTC","rules":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","until":"24:00"}]}`, 0, 60,
			[]string{"Every day all day", "Opens 1 minute longer"}},
		{ // dates that are over, or come when the key is, tell nothing; yesterday's night may go on
			`{"timeZone":"UTC","rules":[{"days":["mon"]` + from + `],"exceptDates":["2026-04-30","2026-05-01","2027-01-01"],` +
				`"extraDates":[{"date":"2026-04-29"` + from + `,{"date":"2026-04-30","from":"22:00","until":"11:00"},{"date":"2027-01-01"` + from + `]}`,
			60, 60, []string{"Mon 08:00–12:00", "30 Apr 2026, 22:00–11:00 (next day)", "Not on 1 May 2026", "Opens 1 minute earlier and 1 minute longer"},
		},
		{
			`{"timeZone":"UTC","rules":[{"days":["mon"]` + from + `],"exceptDates":["2026-05-04","2026-05-05","2026-05-06","2026-05-07","2026-05-08","2026-05-09"]}`, 0, 0,
			[]string{"Mon 08:00–12:00", "Not on 4 May 2026", "Not on 5 May 2026", "Not on 6 May 2026", "Not on 7 May 2026", "Not on 8 May 2026", "And 1 date more"},
		},
	} {
		i := info(lock.StatusValid)
		i.Key.ValidUntil = now.AddDate(0, 1, 0)
		i.Key.Schedule, i.Key.GraceBeforeSeconds, i.Key.GraceAfterSeconds = hours(c.schedule), c.before, c.after
		require.Equal(t, c.want, (&pages.Key{Info: i, Now: now}).Hours())
	}
	require.Empty(t, (&pages.Key{Info: info(lock.StatusValid), Now: now}).Hours())
}

func TestNamesOfClocks(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string]string{
		"Europe/Berlin": "Berlin time", "America/Argentina/Buenos_Aires": "Buenos Aires time", "UTC": "UTC", "CET": "CET", "Etc/GMT+5": "Etc/GMT+5",
	} {
		i := info(lock.StatusValid)
		i.Key.Schedule = &lock.Schedule{TimeZone: zone}
		require.Equal(t, want, (&pages.Key{Info: i, Now: now}).Clock())
	}
}
