package lock

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/lock/zone"
)

// The oracle knows a schedule as a platform wrote it, and goes through time minute by minute, looking at the clock on the wall.
// It shares nothing with the code but the zones.

type oracleHours struct{ from, until string }

type oracleRule struct {
	days []string
	oracleHours
}

type oracle struct {
	zone   *time.Location
	rules  []oracleRule
	except []string
	extra  map[string][]oracleHours
	known  map[time.Time][]oracleHours // by date, what begins has told
}

func (o *oracle) json() string {
	var rules, extra []string
	for _, r := range o.rules {
		rules = append(rules, fmt.Sprintf(`{"days":["%s"],"from":"%s","until":"%s"}`, strings.Join(r.days, `","`), r.from, r.until))
	}
	for date, hours := range o.extra {
		for _, h := range hours {
			extra = append(extra, fmt.Sprintf(`{"date":"%s","from":"%s","until":"%s"}`, date, h.from, h.until))
		}
	}
	except := ""
	if len(o.except) > 0 {
		except = `"` + strings.Join(o.except, `","`) + `"`
	}
	return fmt.Sprintf(`{"timeZone":"%s","rules":[%s],"exceptDates":[%s],"extraDates":[%s]}`, o.zone, strings.Join(rules, ","), except, strings.Join(extra, ","))
}

// begins lists the hours that begin on a date of the calendar.
func (o *oracle) begins(date time.Time) []oracleHours {
	if all, known := o.known[date]; known {
		return all
	}
	var all []oracleHours
	if !slices.Contains(o.except, date.Format(time.DateOnly)) {
		for _, r := range o.rules {
			if slices.Contains(r.days, strings.ToLower(date.Format("Mon"))) {
				all = append(all, r.oracleHours)
			}
		}
	}
	all = append(all, o.extra[date.Format(time.DateOnly)]...)
	o.known[date] = all
	return all
}

// shown tells whether the clock on the wall shows a time of the schedule.
func (o *oracle) shown(at time.Time) bool {
	wall := at.In(o.zone)
	year, month, day := wall.Date()
	today := o.begins(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
	yesterday := o.begins(time.Date(year, month, day-1, 0, 0, 0, 0, time.UTC))
	if len(today)+len(yesterday) == 0 {
		return false
	}
	clock := wall.Format("15:04")
	for _, h := range today {
		if h.from <= clock && (clock < h.until || h.until < h.from) {
			return true
		}
	}
	for _, h := range yesterday {
		if h.until < h.from && clock < h.until {
			return true
		}
	}
	return false
}

var oracleZones = []string{
	"Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Havana", "America/Santiago", "America/Sao_Paulo", "America/Asuncion", "America/Caracas",
	"Australia/Lord_Howe", "Australia/Sydney", "Antarctica/Troll", "Africa/Casablanca", "Africa/Cairo", "Asia/Tehran", "Asia/Gaza", "Asia/Pyongyang",
	"Asia/Kathmandu", "Pacific/Apia", "Pacific/Kwajalein", "Pacific/Chatham", "UTC",
}

// drawBegin draws the midnight of a day, most often one near which the zone's clocks change.
func drawBegin(t *rapid.T, l *time.Location) time.Time {
	begin := time.Date(rapid.IntRange(1975, 2060).Draw(t, "year"), 1, rapid.IntRange(1, 365).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
	if _, change := begin.In(l).ZoneBounds(); !change.IsZero() && rapid.IntRange(0, 4).Draw(t, "near a change") > 0 {
		begin = change.UTC().AddDate(0, 0, -1)
	}
	return begin.Truncate(24 * time.Hour)
}

func drawClock(t *rapid.T, name string) string {
	if rapid.Bool().Draw(t, "usual") {
		return rapid.SampledFrom([]string{"00:00", "00:30", "01:00", "02:00", "02:30", "03:00", "04:00", "12:00", "22:00", "23:30"}).Draw(t, name)
	}
	m := rapid.IntRange(0, 24*60-1).Draw(t, name)
	return fmt.Sprintf("%02d:%02d", m/60, m%60)
}

func drawHours(t *rapid.T) oracleHours {
	h := oracleHours{drawClock(t, "from"), drawClock(t, "until")}
	if h.from == h.until || rapid.IntRange(0, 9).Draw(t, "to the end of the day") == 0 {
		h.until = "24:00"
	}
	return h
}

func drawOracle(t *rapid.T, begin time.Time, l *time.Location) *oracle {
	o := &oracle{zone: l, extra: map[string][]oracleHours{}, known: map[time.Time][]oracleHours{}}
	date := func(name string) string {
		return begin.AddDate(0, 0, rapid.IntRange(-2, 5).Draw(t, name)).Format(time.DateOnly)
	}
	for range rapid.IntRange(0, 3).Draw(t, "rules") {
		days := rapid.SliceOfNDistinct(rapid.SampledFrom(weekdays[:]), 1, 7, rapid.ID).Draw(t, "days")
		o.rules = append(o.rules, oracleRule{days, drawHours(t)})
	}
	for range rapid.IntRange(0, 2).Draw(t, "left out") {
		o.except = append(o.except, date("except"))
	}
	for extra := rapid.IntRange(0, 2).Draw(t, "added"); extra > 0 || len(o.rules)+len(o.extra) == 0; extra-- {
		d := date("extra")
		o.extra[d] = append(o.extra[d], drawHours(t))
	}
	return o
}

// TestStatusFollowsTheClockOnTheWall compares the status of a key, and what is said of its windows, with the oracle.
func TestStatusFollowsTheClockOnTheWall(t *testing.T) {
	t.Parallel()
	const days = 3
	rapid.Check(t, func(t *rapid.T) {
		l, ok := zone.Load(rapid.SampledFrom(oracleZones).Draw(t, "zone"))
		require.True(t, ok)
		begin := drawBegin(t, l)
		o := drawOracle(t, begin, l)
		grace := rapid.SampledFrom([]int{0, 0, 1, 15, 90, 24 * 60})
		before, after := grace.Draw(t, "before"), grace.Draw(t, "after")
		from := rapid.IntRange(0, days*24*60-1).Draw(t, "valid from")
		until := rapid.IntRange(from+1, days*24*60).Draw(t, "valid until")
		k := TempKey{
			AccessMode: Public, ValidFrom: begin.Add(time.Duration(from) * time.Minute), ValidUntil: begin.Add(time.Duration(until) * time.Minute),
			Schedule: scheduled(t, o.json()), GraceBeforeSeconds: int64(before) * 60, GraceAfterSeconds: int64(after) * 60,
		}

		// open has each minute from a day before begin to a day after the last, in which the key opens.
		const edge = 24 * 60
		open := make([]bool, edge+days*24*60+edge+1)
		for m := from; m < until; m++ {
			if o.shown(begin.Add(time.Duration(m) * time.Minute)) {
				for n := max(0, m-before+edge); n <= m+after+edge; n++ {
					open[n] = true
				}
			}
		}
		ends := func(m int) int { return m + max(0, slices.Index(open[m:], false)) }
		if !slices.Contains(open, true) {
			require.Error(t, k.check(), "a key that never opens is not taken")
			require.Equal(t, StatusExpired, k.Status(begin))
			return
		}
		require.NoError(t, k.check())
		for range 25 {
			m := rapid.IntRange(0, len(open)-1).Draw(t, "minute")
			at := begin.Add(time.Duration(m-edge) * time.Minute)
			instant := func(m int) time.Time { return begin.Add(time.Duration(m-edge) * time.Minute) }
			v := k.view(at.Add(time.Duration(rapid.Int64Range(0, int64(time.Minute)-1).Draw(t, "within it"))))
			next := slices.Index(open[m:], true)
			switch {
			case open[m]:
				require.Equal(t, StatusValid, v.Status, at)
				require.Equal(t, instant(ends(m)), *v.OpenUntil, at)
			case next < 0:
				require.Equal(t, StatusExpired, v.Status, at)
			default:
				require.Equal(t, StatusNotYetValid, v.Status, at)
				require.Equal(t, instant(m+next), v.NextWindow.From, at)
				require.Equal(t, instant(ends(m+next)), *v.NextWindow.Until, at)
			}
		}
	})
}
