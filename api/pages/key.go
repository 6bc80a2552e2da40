package pages

import (
	"fmt"
	"io"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// Key is the page of a temporary key, with the button that opens.
type Key struct {
	Info      *lock.TempKeyInfo
	Now       time.Time
	RequestID string // fresh for each page, so that a double tap counts once
}

// Render writes the page.
func (p *Key) Render(w io.Writer) error { return templates.ExecuteTemplate(w, "key.html", p) }

// CanOpen tells whether the page has the button. That of a personal key has none: a browser cannot say who taps it.
func (p *Key) CanOpen() bool { return p.Info.Key.OpensForAnyone() }

// Secret tells whether whoever has the link can open, now or later.
func (p *Key) Secret() bool {
	k := &p.Info.Key
	return k.ForAnyone() && (k.Status == lock.StatusValid || k.Status == lock.StatusNotYetValid)
}

func (p *Key) personal() bool { return p.Info.Key.AccessMode == lock.UserWhitelist }

// State is the line over everything: what the key is worth now.
func (p *Key) State() string {
	k := &p.Info.Key
	switch {
	case k.Status == lock.StatusValid && p.personal():
		return "For certain people"
	case k.Status == lock.StatusNotYetValid && k.Schedule != nil:
		return "Not at this hour"
	}
	return stateOf(k.Status)
}

func stateOf(s lock.Status) string {
	switch s {
	case lock.StatusValid:
		return "Valid now"
	case lock.StatusNotYetValid:
		return "Not valid yet"
	case lock.StatusUsedUp:
		return "Used up"
	default:
		return "Expired"
	}
}

// Why says why there is no button.
func (p *Key) Why() string {
	k := &p.Info.Key
	switch {
	case k.Status == lock.StatusValid && p.personal():
		return "This key is for certain people only. Open it in the app of whoever sent it, signed in."
	case k.Status == lock.StatusValid:
		return "This door is opened with the code, at the door. The code is on the page of the key for all its doors."
	case k.Status == lock.StatusNotYetValid:
		return openFrom(p.instant(p.From()), left(p.From(), p.Now))
	case k.Status == lock.StatusUsedUp:
		return "This key has been used as often as it may be. Ask whoever sent it to you for a new one."
	case k.Schedule != nil:
		return "The hours of this key are over. Ask whoever sent it to you for a new one."
	default:
		return stopped(p.instant(k.Bounds().Until))
	}
}

func openFrom(instant string, wait time.Duration) string {
	if wait == 0 {
		return "You can open from " + instant + " on."
	}
	return "You can open from " + instant + " on, in about " + duration(wait) + "."
}

func stopped(instant string) string {
	return "This key stopped working at " + instant + ". Ask whoever sent it to you for a new one."
}

// From is when the window begins that comes next, or else the key's first.
func (p *Key) From() time.Time {
	if next := p.Info.Key.NextWindow; next != nil {
		return next.From
	}
	return p.Info.Key.Bounds().From
}

// Refresh is in how many seconds the page comes again; 0 is never.
func (p *Key) Refresh() int {
	if p.Info.Key.Status != lock.StatusNotYetValid {
		return 0
	}
	return refreshAt(p.From().Sub(p.Now))
}

// A guest who waits at the door gets the button when its time has come.
const waitAtDoor = 10 * time.Minute

func refreshAt(wait time.Duration) int {
	if wait > waitAtDoor {
		return 0
	}
	return max(1, int((wait+time.Second-1)/time.Second))
}

// UsesLeft says how often the key may still be used; empty when there is no limit.
func (p *Key) UsesLeft() string { return usesLeft(&p.Info.Key.TempKey) }

func usesLeft(k *lock.TempKey) string {
	if k.MaxUses == nil {
		return ""
	}
	return fmt.Sprintf("%d of %d", max(0, *k.MaxUses-k.UsedCount), *k.MaxUses)
}
