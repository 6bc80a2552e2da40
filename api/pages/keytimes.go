package pages

import (
	"strings"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// Time is an instant of a key that its page tells.
type Time struct {
	Name string
	At   time.Time
	Text string
	Left time.Duration // until then, while the key opens; 0: it is not told
}

// Times are the instants that tell when the key opens. A key with a schedule tells its window of today and its own end apart, so
// that nobody takes the one for the other.
func (p *Key) Times() []Time {
	k := &p.Info.Key
	whole := k.Bounds()
	if k.Schedule == nil {
		return p.times(Time{Name: "From", At: whole.From}, p.end("Until", whole.Until))
	}
	var times []Time
	switch {
	case k.Status == lock.StatusExpired:
		return nil // its last hours are over, whatever it says
	case k.Status == lock.StatusValid && k.OpenUntil != nil:
		times = append(times, p.end("Open until", *k.OpenUntil))
	case k.Status == lock.StatusNotYetValid:
		times = append(times, Time{Name: "Opens", At: p.From()})
		if k.NextWindow != nil && k.NextWindow.Until != nil {
			times = append(times, p.end("Open until", *k.NextWindow.Until))
		}
	}
	if n := len(times); n == 0 || !times[n-1].At.Equal(whole.Until) {
		times = append(times, Time{Name: "Key good until", At: whole.Until})
	}
	return p.times(times...)
}

func (p *Key) end(name string, at time.Time) Time {
	t := Time{Name: name, At: at}
	if p.CanOpen() {
		t.Left = left(at, p.Now)
	}
	return t
}

func (p *Key) times(times ...Time) []Time {
	for i := range times {
		times[i].Text = p.instant(times[i].At)
	}
	return times
}

// instant formats a point in time as the clock at the door shows it, where the key's schedule tells of one.
func (p *Key) instant(t time.Time) string {
	s := p.Info.Key.Schedule
	if s == nil {
		return instant(t)
	}
	at := shown(s.Local(t))
	return at.Format(instantFormat) + " " + clock(at.Location().String())
}

// clock is whose time a zone is, in a guest's words: that of a city, where its name has one.
func clock(zone string) string {
	i := strings.LastIndexByte(zone, '/')
	if i < 0 || strings.HasPrefix(zone, "Etc/") {
		return zone
	}
	return strings.ReplaceAll(zone[i+1:], "_", " ") + " time"
}
