package lock

import "time"

const (
	// maxWindows bounds how many stretches of hours are put together to one window, where grace joins them. The shortest has a
	// minute, so that they reach further than any open.
	maxWindows = 128
	// shownAhead is how far the end of a window is looked for to tell it to people.
	shownAhead = 31 * 24 * time.Hour
)

// Window is a stretch of time in which a key opens: From is inside, Until is not.
type Window struct{ From, Until time.Time }

// window is what a key opens in at an instant, or next.
type window struct {
	Window
	open  bool // at the instant; From is then somewhere before it
	exact bool // the window ends at Until, and was not only followed so far
}

// window finds the window that a key is in at now, or else the next one, and follows it at least for ahead from then on. ok is
// false when there is none any more.
//
// What is between validFrom and validUntil and in the hours of the schedule is widened at both its ends by the grace. So grace
// comes before the first and after the last instant of each stretch of hours, and of a key without a schedule.
func (k *TempKey) window(now time.Time, ahead time.Duration) (w window, ok bool) {
	if k.Schedule == nil {
		w = window{Window: k.Bounds(), exact: true}
		w.open = !now.Before(w.From)
		return w, now.Before(w.Until)
	}
	l, ok := k.Schedule.zone()
	if !ok {
		return w, false
	}
	before, after := k.grace()
	return k.Schedule.window(l, k.ValidFrom.UnixMilli(), k.ValidUntil.UnixMilli(), before.Milliseconds(), after.Milliseconds(), now.UnixMilli(), ahead.Milliseconds())
}

// Bounds is what no window of the key reaches beyond, whatever its schedule says. Without a schedule it is the only one.
func (k *TempKey) Bounds() Window {
	before, after := k.grace()
	return Window{From: k.ValidFrom.Add(-before), Until: k.ValidUntil.Add(after)}
}

func (k *TempKey) grace() (before, after time.Duration) {
	return time.Duration(k.GraceBeforeSeconds) * time.Second, time.Duration(k.GraceAfterSeconds) * time.Second
}

func (s *Schedule) window(l *time.Location, validFrom, validUntil, before, after, now, ahead int64) (w window, ok bool) {
	start, ok := s.first(l, max(now-after, validFrom))
	if !ok || start >= validUntil {
		return w, false
	}
	from := start - before
	w.open = from <= now
	limit := max(from, now) + ahead
	until := from
	for range maxWindows {
		end := min(s.last(l, start, limit-after), validUntil)
		until = end + after
		if end == validUntil || until >= limit {
			break
		}
		if start, ok = s.first(l, end); !ok || start >= validUntil || start-before > until {
			w.exact = true
			break
		}
	}
	w.exact = w.exact || until == validUntil+after
	w.From, w.Until = time.UnixMilli(from).UTC(), time.UnixMilli(until).UTC()
	return w, true
}

// view is the key as it is shown, with what it is worth at now.
func (k *TempKey) view(now time.Time) TempKeyView {
	v := TempKeyView{TempKey: *k}
	var w window
	w, v.Status = k.standing(now, shownAhead)
	if v.Status == StatusExpired || k.Schedule == nil && k.GraceBeforeSeconds == 0 && k.GraceAfterSeconds == 0 {
		return v // the key says it itself
	}
	var until *time.Time
	if w.exact && validYear(w.Until) { // grace may reach beyond the years that an instant can have
		end := w.Until
		until = &end
	}
	if w.open {
		v.OpenUntil = until
	} else {
		v.NextWindow = &NextWindow{From: w.From, Until: until}
	}
	return v
}

// standing is what the key is worth at now, and the window that says so.
func (k *TempKey) standing(now time.Time, ahead time.Duration) (window, Status) {
	w, ok := k.window(now, ahead)
	switch {
	case !ok:
		return w, StatusExpired
	case k.MaxUses != nil && k.UsedCount >= *k.MaxUses:
		return w, StatusUsedUp
	case !w.open:
		return w, StatusNotYetValid
	default:
		return w, StatusValid
	}
}

// refused says why a key of this status, which is not valid, does not open.
func (k *TempKey) refused(s Status) *Error {
	switch {
	case s == StatusExpired:
		return reject(Forbidden, "temp-key-expired", "This key is not valid any more.")
	case s == StatusUsedUp:
		return reject(Forbidden, "temp-key-used-up", "This key has been used as often as it may be.")
	case k.Schedule != nil:
		return reject(Forbidden, "temp-key-not-yet-valid", "This key opens at certain hours only, and it is not open now.")
	default:
		return reject(Forbidden, "temp-key-not-yet-valid", "This key is not valid yet.")
	}
}

// checkHours tells what is wrong with the schedule and the grace, of a key whose other terms are right.
func (k *TempKey) checkHours() error {
	if k.GraceBeforeSeconds < 0 || k.GraceBeforeSeconds > maxGraceSeconds {
		return invalid("graceBeforeSeconds", "grace-invalid", "graceBeforeSeconds must be from 0 to 86400 (24 hours)")
	}
	if k.GraceAfterSeconds < 0 || k.GraceAfterSeconds > maxGraceSeconds {
		return invalid("graceAfterSeconds", "grace-invalid", "graceAfterSeconds must be from 0 to 86400 (24 hours)")
	}
	if err := k.Schedule.check(); err != nil {
		return err
	}
	if _, ok := k.window(k.ValidFrom, 0); !ok {
		return invalid("schedule", "schedule-never", "the schedule has no hours between validFrom and validUntil, so that the key would never open")
	}
	return nil
}
