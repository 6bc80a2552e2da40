package lock

import (
	"encoding/json"
	"fmt"
	"time"
)

var weekdays = [...]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// ParseTimeOfDay reads a time of the day, such as 08:30 or 24:00.
func ParseTimeOfDay(s string) (TimeOfDay, error) {
	if len(s) != 5 || s[2] != ':' || !digits(s[:2]) || !digits(s[3:]) {
		return 0, timeOfDayInvalid()
	}
	c := TimeOfDay(number(s[:2]))*60 + TimeOfDay(number(s[3:]))
	if c > endOfDay || s[3] > '5' {
		return 0, timeOfDayInvalid()
	}
	return c, nil
}

func timeOfDayInvalid() *Error {
	return invalid("", "clock-invalid", "must be a time such as 08:30, from 00:00 to 24:00, in hours and minutes with two digits each")
}

// ParseDate reads a date, such as 2026-12-24.
func ParseDate(s string) (Date, error) {
	// Go's parser is lenient with fractions of seconds only, and here are none.
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, dateInvalid()
	}
	days := floorDiv(t.Unix(), secondsOfDay)
	if days < int64(firstDate) || days > int64(lastDate) {
		return 0, dateInvalid()
	}
	return Date(days), nil
}

func dateInvalid() *Error {
	return invalid("", "date-invalid", "must be a date such as 2026-12-24, from 1970-01-01 to 2199-12-31")
}

// ParseWeekdays reads a set of days, such as mon and tue. No day may be there twice.
func ParseWeekdays(names []string) (Weekdays, error) {
	var days Weekdays
	for _, name := range names {
		day := weekday(name)
		if day == 0 || days&day != 0 {
			return 0, daysInvalid()
		}
		days |= day
	}
	if days == 0 {
		return 0, daysInvalid()
	}
	return days, nil
}

func weekday(name string) Weekdays {
	for i, s := range weekdays {
		if s == name {
			return 1 << i
		}
	}
	return 0
}

func daysInvalid() *Error {
	return invalid("", "days-invalid", "must name one to seven of mon, tue, wed, thu, fri, sat, sun, each of them once")
}

func digits(s string) bool { return '0' <= s[0] && s[0] <= '9' && '0' <= s[1] && s[1] <= '9' }

func number(s string) int { return int(s[0]-'0')*10 + int(s[1]-'0') }

func (c TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", c/60, c%60) }

// MarshalText writes the time as ParseTimeOfDay reads it.
func (c TimeOfDay) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *TimeOfDay) UnmarshalText(b []byte) (err error) {
	*c, err = ParseTimeOfDay(string(b))
	return err
}

func (d Date) String() string { return d.Midnight().Format(time.DateOnly) }

// Midnight is when the day begins in UTC.
func (d Date) Midnight() time.Time { return time.Unix(int64(d)*secondsOfDay, 0).UTC() }

// MarshalText writes the date as ParseDate reads it.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Date) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDate(string(b))
	return err
}

// Names lists the days, from Monday on.
func (w Weekdays) Names() []string {
	names := make([]string, 0, len(weekdays))
	for i, name := range weekdays {
		if w&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// MarshalJSON writes the days as a list of their names.
func (w Weekdays) MarshalJSON() ([]byte, error) { return json.Marshal(w.Names()) }

// UnmarshalJSON reads what MarshalJSON wrote, also of a rule that had no days, which only a damaged record can have.
func (w *Weekdays) UnmarshalJSON(b []byte) error {
	var names []string
	if err := json.Unmarshal(b, &names); err != nil || len(names) == 0 {
		*w = 0
		return err
	}
	days, err := ParseWeekdays(names)
	*w = days
	return err
}
