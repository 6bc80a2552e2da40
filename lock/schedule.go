package lock

import (
	"slices"
	"strconv"

	"github.com/latchkey/latchkey/lock/zone"
)

// The bounds of a schedule.
const (
	maxRules        = 32
	maxDates        = 100 // that are left out, and as many that are added
	maxGraceSeconds = 24 * 60 * 60
)

// Schedule says at which hours a key opens, by the clock on the wall beside the door: the key is good while a clock that
// follows the time zone shows a date and a time of the schedule. From this all else follows. Times that the clock skips are
// not there, times that it shows twice count twice, and if a law moves the clock then the hours move with it.
//
// Hours that end before they begin go on after midnight, and belong to the day on which they begin: Friday 22:00 to 06:00
// is good on Saturday at 05:59, whatever is said of Saturdays.
type Schedule struct {
	TimeZone string  `json:"timeZone"`              // an IANA name
	Rules    []Rule  `json:"rules,omitempty"`       // hours of every week
	Except   []Date  `json:"exceptDates,omitempty"` // on which no hours of the rules begin; in order
	Extra    []Extra `json:"extraDates,omitempty"`  // hours of one day, whatever is said of that day; in order
}

// Rule is hours that begin on some days of the week.
type Rule struct {
	Days Weekdays `json:"days"`
	Hours
}

// Extra is hours that begin on one day.
type Extra struct {
	Date Date `json:"date"`
	Hours
}

// Hours are the times of a day from From on, until shortly before Until.
type Hours struct {
	From  TimeOfDay `json:"from"`
	Until TimeOfDay `json:"until"`
}

// TimeOfDay is a time of the day in minutes after midnight; 24:00 is the end of the day.
type TimeOfDay int16

// Date is a day of the calendar, counted from 1970-01-01.
type Date int32

// Weekdays is a set of days of the week; Monday is the lowest bit.
type Weekdays uint8

const (
	endOfDay    TimeOfDay = 24 * 60
	everyDay              = Weekdays(1<<7 - 1)
	firstMonday           = 3      // 1970-01-01 was a Thursday
	firstDate   Date      = 0      // 1970-01-01
	lastDate    Date      = 84_005 // 2199-12-31
)

// stored brings the schedule to the form in which it is stored: dates are in order, and there once.
func (s *Schedule) stored() *Schedule {
	if s == nil {
		return nil
	}
	// An empty list becomes none, as it comes back from the journal.
	c := &Schedule{
		TimeZone: s.TimeZone, Rules: append([]Rule(nil), s.Rules...),
		Except: append([]Date(nil), s.Except...), Extra: append([]Extra(nil), s.Extra...),
	}
	slices.Sort(c.Except)
	c.Except = slices.Compact(c.Except)
	slices.SortFunc(c.Extra, func(a, b Extra) int {
		for _, d := range [...]int{int(a.Date - b.Date), int(a.From - b.From), int(a.Until - b.Until)} {
			if d != 0 {
				return d
			}
		}
		return 0
	})
	c.Extra = slices.Compact(c.Extra)
	return c
}

// check tells what is wrong with a schedule.
func (s *Schedule) check() error {
	if s == nil {
		return nil
	}
	if _, ok := zone.Load(s.TimeZone); !ok {
		message := "schedule.timeZone must be the IANA name of a time zone, such as Europe/Berlin"
		if name := zone.Like(s.TimeZone); name != "" {
			message += ": in its letter case this one is " + name
		}
		return invalid("schedule.timeZone", "time-zone-unknown", message)
	}
	switch {
	case len(s.Rules) == 0 && len(s.Extra) == 0:
		return invalid("schedule.rules", "schedule-empty", "schedule must have rules or extraDates, or the key would never open. null takes the schedule away")
	case len(s.Rules) > maxRules:
		return invalid("schedule.rules", "too-many-rules", "schedule.rules may have up to 32 rules")
	case len(s.Except) > maxDates:
		return invalid("schedule.exceptDates", "too-many-dates", "schedule.exceptDates may have up to 100 dates")
	case len(s.Extra) > maxDates:
		return invalid("schedule.extraDates", "too-many-dates", "schedule.extraDates may have up to 100 dates")
	}
	for i, r := range s.Rules {
		field := "schedule.rules[" + strconv.Itoa(i) + "]"
		if r.Days == 0 || r.Days > everyDay {
			return invalid(field+".days", "days-invalid", "days must name one to seven of mon, tue, wed, thu, fri, sat, sun")
		}
		if err := r.check(field); err != nil {
			return err
		}
	}
	for _, d := range s.Except {
		if !d.valid() {
			return invalid("schedule.exceptDates", "date-invalid", "schedule.exceptDates must be dates from 1970-01-01 to 2199-12-31")
		}
	}
	for i, e := range s.Extra {
		field := "schedule.extraDates[" + strconv.Itoa(i) + "]"
		if !e.Date.valid() {
			return invalid(field+".date", "date-invalid", "date must be one from 1970-01-01 to 2199-12-31")
		}
		if err := e.check(field); err != nil {
			return err
		}
	}
	return nil
}

func (h Hours) check(field string) error {
	if h.From < 0 || h.From >= endOfDay {
		return invalid(field+".from", "clock-invalid", "from must be a time from 00:00 to 23:59")
	}
	if h.Until < 0 || h.Until > endOfDay {
		return invalid(field+".until", "clock-invalid", "until must be a time from 00:00 to 24:00")
	}
	if h.From == h.Until {
		return invalid(field+".until", "hours-empty", "from and until must differ; a whole day is 00:00 to 24:00")
	}
	return nil
}

func (d Date) valid() bool { return d >= firstDate && d <= lastDate }

// equal tells whether two schedules say the same in the same words.
func (s *Schedule) equal(o *Schedule) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.TimeZone == o.TimeZone && slices.Equal(s.Rules, o.Rules) && slices.Equal(s.Except, o.Except) && slices.Equal(s.Extra, o.Extra)
}
