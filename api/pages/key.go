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

// CanOpen tells whether the page has the button. A key with a whitelist has one too, for a caller that brings a token.
func (p *Key) CanOpen() bool { return p.Info.Key.Status == lock.StatusValid && p.Link() }

// Link tells whether the key opens with its link at all, and not only with a code.
func (p *Key) Link() bool { return p.Info.Key.ByLink() }

// Personal tells whether the key is for certain users only.
func (p *Key) Personal() bool { return p.Info.Key.AccessMode == lock.UserWhitelist }

// State is the line over everything: what the key is worth now.
func (p *Key) State() string {
	if p.Info.Key.Status == lock.StatusNotYetValid && p.Info.Key.Schedule != nil {
		return "Not at this hour"
	}
	return stateOf(p.Info.Key.Status)
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
	k := p.Info.Key
	switch k.Status {
	case lock.StatusValid:
		return "This door is opened with the code, at the door. The code is on the page of the key for all its doors."
	case lock.StatusNotYetValid:
		return "You can open from " + instant(p.From()) + " on, in about " + duration(p.From().Sub(p.Now)) + "."
	case lock.StatusUsedUp:
		return "This key has been used as often as it may be. Ask whoever sent it to you for a new one."
	default:
		if k.Schedule != nil {
			return "The hours of this key are over. Ask whoever sent it to you for a new one."
		}
		return "This key stopped working at " + instant(k.ValidUntil) + ". Ask whoever sent it to you for a new one."
	}
}

// From is when the window begins that comes next, or else the key's own.
func (p *Key) From() time.Time {
	if next := p.Info.Key.NextWindow; next != nil {
		return next.From
	}
	return p.Info.Key.ValidFrom
}

// Until is when the window ends that the key is in, or that comes next, as far as that is known.
func (p *Key) Until() time.Time {
	k := p.Info.Key
	if k.OpenUntil != nil {
		return *k.OpenUntil
	}
	if k.NextWindow != nil && k.NextWindow.Until != nil {
		return *k.NextWindow.Until
	}
	return k.ValidUntil
}

// Left is for how long the key still works.
func (p *Key) Left() time.Duration { return p.Until().Sub(p.Now) }

// UsesLeft says how often the key may still be used; empty when there is no limit.
func (p *Key) UsesLeft() string { return usesLeft(&p.Info.Key.TempKey) }

func usesLeft(k *lock.TempKey) string {
	if k.MaxUses == nil {
		return ""
	}
	return fmt.Sprintf("%d of %d", max(0, *k.MaxUses-k.UsedCount), *k.MaxUses)
}
