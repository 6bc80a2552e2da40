package pages

import (
	"io"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// Confirmation tells what became of a request to open.
type Confirmation struct {
	Info    *lock.TempKeyInfo
	Open    *lock.OpenResult // nil: the request is not known, or was not named
	Back    string           // the key's page
	Now     time.Time
	Offline bool // the lock was offline when the request came
}

// Render writes the page.
func (p *Confirmation) Render(w io.Writer) error {
	return templates.ExecuteTemplate(w, "confirmation.html", p)
}

// A page whose outcome may still change comes again by itself: often while the command is on its way, seldom
// while a lock that did not answer may come back and tell.
const (
	refreshSoon  = 1
	refreshLater = 5
	watchSent    = 5 * time.Second // after the deadline
	watchUnknown = 2 * time.Minute // after the deadline
	longAgo      = time.Minute
)

// Refresh is in how many seconds the page comes again; 0 is never.
func (p *Confirmation) Refresh() int {
	if p.Open == nil {
		return 0
	}
	late := p.Now.Sub(p.Open.Deadline)
	switch {
	case !p.Open.Outcome.Final() && late < watchSent:
		return refreshSoon
	case !p.Open.Outcome.Final() || p.Open.Outcome == lock.Unknown:
		if late < watchUnknown {
			return refreshLater
		}
	}
	return 0
}

// Outcome is what is known, as a word for style sheets and programs.
func (p *Confirmation) Outcome() string {
	if p.Open == nil {
		return "none"
	}
	return string(p.Open.Outcome)
}

// Title is the outcome in a few words.
func (p *Confirmation) Title() string {
	switch lock.Outcome(p.Outcome()) {
	case lock.Reserved:
		return "Waiting for the lock"
	case lock.Sent:
		return "Opening\u2026"
	case lock.Opened:
		return "Opened"
	case lock.Refused, lock.Expired:
		return "Not opened"
	case lock.Unknown:
		return "No answer from the lock"
	default:
		return "Your request was sent"
	}
}

// Text says what it means, and what to do.
func (p *Confirmation) Text() string {
	switch lock.Outcome(p.Outcome()) {
	case lock.Reserved:
		return "The lock is offline. It opens if it comes back within " + duration(max(time.Second, p.Open.Deadline.Sub(p.Now))) + ", and not later."
	case lock.Sent:
		return "The command is on its way. The lock has not answered yet."
	case lock.Opened:
		return "The lock says that it has opened. Go in."
	case lock.Refused:
		if text := refusals[p.Open.Reason]; text != "" {
			return text
		}
		return "The lock did not open. Try again."
	case lock.Expired:
		if p.Open.Reason == "device-offline" {
			return "The lock was offline and did not come back in time. It will not open for this request any more. Try again."
		}
		return "The command did not reach the lock in time. It will not open for this request any more. Try again."
	case lock.Unknown:
		return "The command was sent, but the lock did not answer. It may have opened: try the door."
	default:
		return "This page cannot tell whether the door opened: try the door, or go back to the key."
	}
}

// refusals are the reasons that a guest can do something about.
var refusals = map[string]string{
	"jammed":             "The lock is jammed. Pull or push the door a little and try again.",
	"low-battery":        "The lock's battery is too low to open. Call whoever sent you the key.",
	"temp-key-withdrawn": "The key was changed or revoked before the lock came back. It will not open for this request.",
	"device-busy":        "The lock was busy. Try again in a moment.",
}

// Sign is the drawing of the outcome: a tick only when the lock has said that it opened.
func (p *Confirmation) Sign() string {
	switch lock.Outcome(p.Outcome()) {
	case lock.Opened:
		return "M14 25l7 7 13-15"
	case lock.Refused, lock.Expired:
		return "M16 16l16 16M32 16L16 32"
	case lock.Reserved, lock.Sent:
		return "M24 13v12l8 5"
	default:
		return "M18 18c1-7 13-7 12 1 0 4-6 4-6 9M24 34v1"
	}
}

// Failed tells whether there is nothing to do but to try again.
func (p *Confirmation) Failed() bool {
	return p.Open != nil && (p.Open.Outcome == lock.Refused || p.Open.Outcome == lock.Expired)
}

// Uses says what the request did to the count of uses; empty when the key has no limit or nothing is to be said.
func (p *Confirmation) Uses() string {
	if p.Open == nil || p.Info.Key.MaxUses == nil {
		return ""
	}
	switch {
	case p.Open.UseReturned:
		return "This try was not counted."
	case p.Open.Outcome == lock.Unknown:
		return "The use stays counted, because the door may have opened."
	}
	return ""
}

// UsesLeft says how often the key may still be used; empty when there is no limit.
func (p *Confirmation) UsesLeft() string { return usesLeft(&p.Info.Key.TempKey) }

// Old tells whether the request was some time ago, so that nobody takes it for what they just asked for.
func (p *Confirmation) Old() bool { return p.Open != nil && p.Now.Sub(p.Open.At) > longAgo }

// Ago is how long ago the request was.
func (p *Confirmation) Ago() time.Duration { return p.Now.Sub(p.Open.At) }
