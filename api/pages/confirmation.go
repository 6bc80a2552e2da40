package pages

import (
	"io"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// Confirmation tells what became of a request to open.
type Confirmation struct {
	Info      *lock.TempKeyInfo
	Open      *lock.OpenResult // nil: the request is not known, or was not named
	Named     bool             // a request was named
	Offline   bool             // where none was: the lock was offline, as the address says
	Door      string           // what guests call the door; empty: it has no name
	TakenOff  bool             // the key goes on, for other doors, if this one is deleted
	Back      string           // the key's page; empty: there is none any more
	Action    string           // where the same door is opened
	RequestID string           // fresh for each page, so that a double tap counts once
	Now       time.Time
}

// Render writes the page.
func (p *Confirmation) Render(w io.Writer) error {
	return templates.ExecuteTemplate(w, "confirmation.html", p)
}

// A page whose outcome may still change comes again by itself: often while the command is on its way, seldom while a lock that did not
// answer may come back and tell. It takes the focus from whoever reads with a keyboard or a voice each time, so it does not come more
// often than it has to.
const (
	refreshSoon    = 2
	refreshLater   = 5
	refreshUnknown = 15
	watchSoon      = 15 * time.Second // after the request
	watchLong      = 2 * time.Minute  // after the deadline
	longAgo        = 5 * time.Second  // after the deadline
)

// Refresh is in how many seconds the page comes again; 0 is never. One that says "Go in" comes once more, to take that back: it may be
// read much later, on a phone that was put away.
func (p *Confirmation) Refresh() int {
	switch {
	case p.Open == nil:
		return 0
	case p.Open.Outcome == lock.Opened && !p.Old():
		return int((longAgo-p.late())/time.Second) + 1
	case p.Waiting() && p.Ago() < watchSoon:
		return refreshSoon
	case p.Waiting() && p.late() < watchLong:
		return refreshLater
	case p.Unsettled() && p.late() < watchLong:
		return refreshUnknown
	}
	return 0
}

// Gone is what a guest should know of a key that does not open this door any more; empty when it may.
func (p *Confirmation) Gone() string {
	switch {
	case !p.Info.Deleted:
		return ""
	case p.TakenOff:
		return takenOff
	default:
		return "The key was deleted since. Ask whoever sent it to you for a new one."
	}
}

// Name is what guests call the door.
func (p *Confirmation) Name() string { return doorName(p.Door, p.Info.ID) }

// late is how long ago the last instant was at which the door may have opened.
func (p *Confirmation) late() time.Duration { return p.Now.Sub(p.Open.Deadline) }

// Waiting tells whether the open is still on its way.
func (p *Confirmation) Waiting() bool { return p.Open != nil && !p.Open.Outcome.Final() }

// Unsettled tells whether more may become known.
func (p *Confirmation) Unsettled() bool {
	return p.Waiting() || p.Open != nil && p.Open.Outcome == lock.Unknown && !p.Open.Final
}

// Old tells whether the answer is one of some time ago, as it is when a browser goes back and opens from a page that it has kept: that
// names the same request again. What counts is the deadline, since an open may come true until then.
func (p *Confirmation) Old() bool { return p.Open != nil && p.late() >= longAgo }

// Ago is how long ago the request was.
func (p *Confirmation) Ago() time.Duration { return max(0, p.Now.Sub(p.Open.At)) }

// Again tells whether the page has a button that opens once more: when that is what is left to do, and the key can.
func (p *Confirmation) Again() bool {
	return p.Open != nil && !p.Waiting() && (p.failed() || p.Old() || p.Open.Outcome == lock.Unknown && p.Open.Final) && p.Info.Key.OpensForAnyone()
}

func (p *Confirmation) failed() bool {
	return p.Open.Outcome == lock.Refused || p.Open.Outcome == lock.Expired
}

// WasOffline tells whether the lock was offline when the request came. What is known of the request goes before what the address says.
func (p *Confirmation) WasOffline() bool {
	if p.Open != nil {
		return p.Open.Offline
	}
	return p.Offline && !p.Named
}

// Uses says what the request did to the count of uses, or another one would do; empty when the key has no limit or nothing is to be said.
func (p *Confirmation) Uses() string {
	if p.Open == nil || p.Info.Key.MaxUses == nil {
		return ""
	}
	switch {
	case p.Waiting():
		return "Please wait here: to tap Open once more counts as another use."
	case p.Open.UseReturned:
		return "This try was not counted."
	case p.Open.Outcome == lock.Unknown:
		return "The use stays counted, because the door may have opened."
	}
	return ""
}

// UsesLeft says how often the key may still be used; empty when there is no limit.
func (p *Confirmation) UsesLeft() string { return usesLeft(&p.Info.Key.TempKey) }
