package pages

import (
	"io"
	"time"

	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/lock"
)

// Collective is the page of a key for several doors, with a button for each that opens with the link.
type Collective struct {
	Key   *collective.Key
	Doors []CollectiveDoor
	Now   time.Time
}

// CollectiveDoor is a door with what its lock says of it.
type CollectiveDoor struct {
	collective.Door
	Info      *lock.TempKeyInfo // nil: the lock cannot be asked now
	Gone      bool              // the lock does not know the key any more: whose it is since took the door off
	RequestID string            // fresh for each page, so that a double tap counts once
}

// Render writes the page.
func (p *Collective) Render(w io.Writer) error {
	return templates.ExecuteTemplate(w, "collective.html", p)
}

// Status is what the key is worth now: what its doors' locks make of its window, unless it was revoked.
func (p *Collective) Status() lock.Status {
	if p.Key.RevokedAt != nil {
		return lock.StatusExpired
	}
	window := lock.TempKey{ValidFrom: p.Key.ValidFrom, ValidUntil: p.Key.ValidUntil}
	return window.Status(p.Now)
}

// State is the line over everything.
func (p *Collective) State() string {
	if p.Key.RevokedAt != nil {
		return "Revoked"
	}
	return stateOf(p.Status())
}

// Why says why there are no buttons.
func (p *Collective) Why() string {
	switch {
	case p.Key.RevokedAt != nil:
		return "This key was revoked. Ask whoever sent it to you for a new one."
	case p.Status() == lock.StatusNotYetValid:
		return openFrom(instant(p.Key.ValidFrom), left(p.Key.ValidFrom, p.Now))
	default:
		return stopped(instant(p.Key.ValidUntil))
	}
}

// CanOpen tells whether the key opens now.
func (p *Collective) CanOpen() bool { return p.Status() == lock.StatusValid }

// Secret tells whether whoever has the link can open, now or later.
func (p *Collective) Secret() bool { return p.Status() != lock.StatusExpired }

// Refresh is in how many seconds the page comes again; 0 is never.
func (p *Collective) Refresh() int {
	if p.Status() != lock.StatusNotYetValid {
		return 0
	}
	return refreshAt(p.Key.ValidFrom.Sub(p.Now))
}

// Left is for how long the key still works; 0: it is not told.
func (p *Collective) Left() time.Duration { return left(p.Key.ValidUntil, p.Now) }

// PIN is the code, as long as it is or will be good.
func (p *Collective) PIN() string {
	if p.Status() == lock.StatusExpired {
		return ""
	}
	return p.Key.PIN
}

// Name is what guests call the door.
func (d *CollectiveDoor) Name() string { return doorName(d.Label, d.LockID) }

func doorName(label string, id lock.ID) string {
	if label != "" {
		return label
	}
	return "Lock " + id.String()
}

// Link tells whether the door opens with a button.
func (d *CollectiveDoor) Link() bool { return !d.Gone && d.Access != collective.ByCode }

// Code tells whether the door opens with the code.
func (d *CollectiveDoor) Code() bool { return !d.Gone && d.Access != collective.ByKey }

const takenOff = "This door was taken off the key. Ask whoever sent it to you if you still need it."

// Note is what a guest should know of the door; empty when there is nothing.
func (d *CollectiveDoor) Note() string {
	switch {
	case d.Gone:
		return takenOff
	case d.Info == nil:
		return "The lock cannot be asked right now."
	case !d.Info.Online && d.Link():
		return "The lock is offline right now. If you tap Open it waits a few seconds for the lock to come back."
	case !d.Info.Online:
		return "The lock is offline right now."
	}
	return ""
}
