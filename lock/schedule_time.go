package lock

import (
	"slices"
	"time"

	"github.com/latchkey/latchkey/lock/zone"
)

// Instants are counted in milliseconds since 1970, and so is what a clock on a wall shows, as if it were in UTC. Between
// two changes of the zone's offset the two run side by side, so that the questions below are asked of the wall first and
// then of each such stretch of time.

const (
	secondsOfDay = 24 * 60 * 60
	msOfMinute   = 60 * 1000
	msOfDay      = secondsOfDay * 1000

	forever = int64(1) << 60 // later than any instant

	// maxBack is more than a clock was ever put back: by 24 hours, where a calendar repeated a day.
	maxBack = 2 * msOfDay
	// maxStretches bounds the search for the next hours. A zone has two to four changes a year.
	maxStretches = 1000
	// maxDays bounds the same search by days of the calendar: of weekly hours all dates that are left out may be in the way.
	maxDays = 7 * (maxDates + 2)
)

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// span gives what a clock shows at the begin and the end of hours that begin on a day.
func (h Hours) span(day int64) (from, until int64) {
	from = day*msOfDay + int64(h.From)*msOfMinute
	until = day*msOfDay + int64(h.Until)*msOfMinute
	if until <= from {
		until += msOfDay
	}
	return from, until
}

// spans calls f with what a clock shows at the begin and the end of all hours that begin on a day.
func (s *Schedule) spans(day int64, f func(from, until int64)) {
	if _, out := slices.BinarySearch(s.Except, Date(day)); !out {
		today := Weekdays(1) << (((day+firstMonday)%7 + 7) % 7)
		for _, r := range s.Rules {
			if r.Days&today != 0 {
				f(r.span(day))
			}
		}
	}
	i, _ := slices.BinarySearchFunc(s.Extra, Date(day), func(e Extra, d Date) int { return int(e.Date) - int(d) })
	for ; i < len(s.Extra) && int64(s.Extra[i].Date) == day; i++ {
		f(s.Extra[i].span(day))
	}
}

// next returns the first time of the schedule that a clock shows which shows w now and is never changed.
func (s *Schedule) next(w int64) (found int64, ok bool) {
	day := floorDiv(w, msOfDay) - 1 // hours that began yesterday may go on
	for range maxDays {
		s.spans(day, func(from, until int64) {
			if at := max(from, w); w < until && (!ok || at < found) {
				found, ok = at, true
			}
		})
		if ok && found < (day+1)*msOfDay {
			break // what begins on a later day begins later
		}
		if day++; !ok && len(s.Rules) == 0 {
			i, _ := slices.BinarySearchFunc(s.Extra, day, func(e Extra, d int64) int { return int(int64(e.Date) - d) })
			if i == len(s.Extra) {
				break
			}
			day = int64(s.Extra[i].Date)
		}
	}
	return found, ok
}

// end returns the first time that is not one of the schedule which that clock shows from w on. It may stop looking at limit.
func (s *Schedule) end(w, limit int64) int64 {
	for w < limit {
		until := w
		for day := floorDiv(w, msOfDay); until == w && day >= floorDiv(w, msOfDay)-1; day-- {
			s.spans(day, func(from, to int64) {
				if from <= w {
					until = max(until, to)
				}
			})
		}
		if until == w {
			break
		}
		w = until
	}
	return w
}

// stretch tells what the zone's clocks are ahead at t, and an instant after it until which that is so.
func stretch(l *time.Location, t int64) (ahead, end int64) {
	at := time.UnixMilli(t).In(l)
	_, seconds := at.Zone()
	ahead, end = int64(seconds)*1000, forever
	if _, e := at.ZoneBounds(); !e.IsZero() {
		end = e.UnixMilli()
	}
	if end <= t {
		// On the last day of a leap year ZoneBounds may say that the year has ended. No clock is changed on that day in UTC.
		end = (floorDiv(t, msOfDay) + 1) * msOfDay
	}
	return ahead, end
}

// first returns the first instant from t on at which a clock on the wall shows a time of the schedule.
func (s *Schedule) first(l *time.Location, t int64) (int64, bool) {
	for range maxStretches {
		ahead, end := stretch(l, t)
		w, ok := s.next(t + ahead)
		if ok && w-ahead < end {
			return w - ahead, true
		}
		if end == forever || !ok && end-t > maxBack {
			break // nothing comes later, and no clock will be put back so far that it shows something that was
		}
		if ok && end-t > maxBack {
			// Until shortly before w, no clock shows anything that comes before what it would show now, or w and later. Without this,
			// hours in a hundred years would cost two hundred steps.
			end = max(end, w-ahead-maxBack)
		}
		t = end
	}
	return 0, false
}

// last returns the first instant from t on at which no clock on the wall shows a time of the schedule. It may stop looking at limit.
func (s *Schedule) last(l *time.Location, t, limit int64) int64 {
	for t < limit {
		ahead, end := stretch(l, t)
		if e := s.end(t+ahead, min(end, limit)+ahead) - ahead; e < end {
			return e
		}
		t = end
	}
	return t
}

// Local is what a clock of the schedule shows at t, for people; UTC where zone knows none.
func (s *Schedule) Local(t time.Time) time.Time {
	if l, ok := s.zone(); ok {
		return t.In(l)
	}
	return t.UTC()
}

// zone is where the schedule's clocks are. A journal that was written by a newer version may name one that this version
// does not know; then nobody can tell the hours, and there are none.
func (s *Schedule) zone() (*time.Location, bool) { return zone.Load(s.TimeZone) }
