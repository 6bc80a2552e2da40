package api

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/latchkey/latchkey/lock"
)

// timeOfDay is what a clock shows, in the body of a request.
type timeOfDay struct{ lock.TimeOfDay }

func (t *timeOfDay) readJSON(token json.Token) (err error) {
	text, ok := token.(string)
	if !ok {
		return errors.New("text, a time of the day such as 08:30")
	}
	t.TimeOfDay, err = lock.ParseTimeOfDay(text)
	return err
}

// localDate is a date at the door, in the body of a request.
type localDate struct{ lock.Date }

func (d *localDate) readJSON(token json.Token) (err error) {
	text, ok := token.(string)
	if !ok {
		return errors.New("text, a date such as 2026-12-24")
	}
	d.Date, err = lock.ParseDate(text)
	return err
}

// readSchedule turns a schedule of a request into the kernel's; nil is none.
func readSchedule(body *Schedule) (*lock.Schedule, error) {
	if body == nil {
		return nil, nil
	}
	s := &lock.Schedule{TimeZone: body.TimeZone}
	for i, r := range body.Rules {
		days, err := lock.ParseWeekdays(r.Days)
		if err != nil {
			field := "schedule.rules[" + strconv.Itoa(i) + "].days"
			return nil, badRequest("days-invalid", field, field+" "+err.Error())
		}
		s.Rules = append(s.Rules, lock.Rule{Days: days, Hours: lock.Hours{From: r.From.TimeOfDay, Until: r.Until.TimeOfDay}})
	}
	for _, d := range body.ExceptDates {
		s.Except = append(s.Except, d.Date)
	}
	for _, e := range body.ExtraDates {
		s.Extra = append(s.Extra, lock.Extra{Date: e.Date.Date, Hours: lock.Hours{From: e.From.TimeOfDay, Until: e.Until.TimeOfDay}})
	}
	return s, nil
}
