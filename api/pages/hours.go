package pages

import (
	"fmt"
	"strings"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// maxDatesShown bounds the dates of a schedule on a page: a guest wants the next ones.
const maxDatesShown = 5

// Hours says at which hours the key opens, a line each; none without a schedule, and when they are over.
func (p *Key) Hours() []string {
	s := p.Info.Key.Schedule
	if s == nil || p.Info.Key.Status == lock.StatusExpired {
		return nil
	}
	var lines []string
	for _, r := range s.Rules {
		lines = append(lines, days(r.Days)+" "+span(r.Hours))
	}
	first, last := p.calendar()
	var extra, except []string
	for _, e := range s.Extra {
		if day := e.Date.Midnight(); !day.Before(first.AddDate(0, 0, -1)) && !day.After(last) { // yesterday's may go on after midnight
			extra = append(extra, day.Format(dateFormat)+", "+span(e.Hours))
		}
	}
	for _, d := range s.Except {
		if day := d.Midnight(); len(s.Rules) > 0 && !day.Before(first) && !day.After(last) {
			except = append(except, "Not on "+day.Format(dateFormat))
		}
	}
	lines = append(append(lines, some(extra)...), some(except)...)
	if grace := p.grace(); grace != "" {
		lines = append(lines, grace)
	}
	return lines
}

// Clock is whose time the hours are.
func (p *Key) Clock() string { return clock(p.Info.Key.Schedule.TimeZone) }

// calendar gives the days, as instants of UTC, that are today and the key's last one at the door.
func (p *Key) calendar() (today, last time.Time) {
	day := func(t time.Time) time.Time {
		y, m, d := p.Info.Key.Schedule.Local(t).Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	return day(p.Now), day(p.Info.Key.ValidUntil)
}

func (p *Key) grace() string {
	k := &p.Info.Key
	whole := k.Bounds()
	before, after := k.ValidFrom.Sub(whole.From), whole.Until.Sub(k.ValidUntil)
	switch {
	case before > 0 && after > 0:
		return "Opens " + duration(before) + " earlier and " + duration(after) + " longer"
	case before > 0:
		return "Opens " + duration(before) + " earlier"
	case after > 0:
		return "Opens " + duration(after) + " longer"
	}
	return ""
}

// some are the first of the lines, and how many more there are.
func some(lines []string) []string {
	if more := len(lines) - maxDatesShown; more > 0 {
		return append(lines[:maxDatesShown:maxDatesShown], fmt.Sprintf("And %s more", plural(int64(more), "date")))
	}
	return lines
}

func span(h lock.Hours) string {
	switch {
	case h.From == 0 && h.Until.String() == "24:00":
		return "all day"
	case h.Until < h.From:
		return h.From.String() + "–" + h.Until.String() + " (next day)"
	}
	return h.From.String() + "–" + h.Until.String()
}

var weekdays = [...]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

// days lists days of the week. Three or more in a row are told by the first and the last.
func days(set lock.Weekdays) string {
	var parts []string
	for i := 0; i < len(weekdays); i++ {
		if set>>i&1 == 0 {
			continue
		}
		first := i
		for set>>(i+1)&1 == 1 {
			i++
		}
		switch i - first {
		case 0:
			parts = append(parts, weekdays[first])
		case 1:
			parts = append(parts, weekdays[first], weekdays[i])
		case len(weekdays) - 1:
			return "Every day"
		default:
			parts = append(parts, weekdays[first]+"–"+weekdays[i])
		}
	}
	return strings.Join(parts, ", ")
}
