package lock

import (
	"slices"
	"time"
)

// The bounds of guessing codes at a lock's panel: so many wrong ones in a row are free, then each one locks the panel, twice
// as long as the one before, up to the longest. A code that is right ends the row, and so does a time without tries. The
// same code ends one row an hour only: whoever has a code of their own could try others between its uses without an end, and
// at the front door of a house find those of all who live there.
const (
	freeTries     = 4
	firstLockout  = 30 * time.Second
	longestLock   = time.Hour
	forgetLockout = 24 * time.Hour
	endsRowEvery  = time.Hour
)

// Panel is what is known of the wrong codes that were tried at a lock.
type Panel struct {
	Wrong int       `json:"wrong,omitempty"` // in a row
	Last  time.Time `json:"last,omitzero"`
	Until time.Time `json:"until,omitzero"` // nothing is tried before
	Ended []RowEnd  `json:"ended,omitempty"`
}

// RowEnd tells which key's code has ended a row of wrong ones, and when.
type RowEnd struct {
	Key TempKeyID `json:"key"`
	At  time.Time `json:"at"`
}

type (
	// OpenWithPIN opens with the code of a door. Hash is the code's, under the key that Door.PIN was hashed with.
	// Reply: *OpenResult, or *PINRefused.
	OpenWithPIN struct {
		Hash      []byte
		RequestID RequestID
		CommandID CommandID
		Lifetime  time.Duration
		Hold      time.Duration // how long to wait for a device that is offline
	}
	// PINRefused answers a code that does not open now. LockedFor tells how long no code will be looked at, when this one was
	// not looked at either.
	PINRefused struct {
		Version   uint64
		LockedFor time.Duration
	}
	// PINWasWrong is one wrong code.
	PINWasWrong struct {
		Stamp
		Wrong       int       `json:"wrong"` // in a row, with this one
		LockedUntil time.Time `json:"lockedUntil,omitzero"`
	}
)

func (*OpenWithPIN) isCommand() {}
func (*PINRefused) isReply()    {}

// EventType gives the type of the record.
func (*PINWasWrong) EventType() string { return "PINWasWrong" }

// openWithPIN tells nothing about why a code is refused: whether it belongs to no key, or to one that is not valid now.
// A wrong code is an event, because the tries must be counted whatever crashes. A request that comes again is no other try, as long as
// it shows the code of its own key. At a locked panel that is not looked at either, or the code could be guessed there.
func (s *State) openWithPIN(c *OpenWithPIN, now time.Time) (Decision, error) {
	if len(c.Hash) != pinHashBytes {
		return Decision{}, invalid("pin", "pin-invalid", "the hash of a code has 32 bytes")
	}
	if now.Before(s.Panel.Until) {
		return Decision{Reply: &PINRefused{Version: s.Version, LockedFor: s.Panel.Until.Sub(now)}}, nil
	}
	a := ask{request: c.RequestID, command: c.CommandID, lifetime: c.Lifetime, hold: c.Hold, pin: true}
	if r := s.Requests.find(c.RequestID); r != nil && r.TempKeyID != "" {
		switch k := s.TempKeys.find(r.TempKeyID); {
		case k == nil:
			return Decision{Reply: &PINRefused{Version: s.Version}}, nil // the code went with its key, and no other one is looked at
		case k.hasPIN(c.Hash):
			return s.again(a, r) // the key may be over by now, its open is what it was
		}
	}
	k, status := s.byPIN(c.Hash, now), StatusExpired
	if k != nil {
		a.window, status = k.standing(now, MaxHold)
	}
	if status != StatusValid {
		return s.wrongPIN(now)
	}
	switch r, err := s.seen(a, k.UUID, now); {
	case err != nil:
		return Decision{}, err
	case r != nil:
		return s.again(a, r)
	}
	a.key = k
	return s.open(a, now)
}

func (s *State) wrongPIN(now time.Time) (Decision, error) {
	e := &PINWasWrong{Stamp: s.stamp("guest", now), Wrong: 1}
	if now.Sub(s.Panel.Last) < forgetLockout {
		e.Wrong = s.Panel.Wrong + 1
	}
	if e.Wrong > freeTries {
		lockout := longestLock
		if doubled := e.Wrong - freeTries - 1; doubled < 8 {
			lockout = min(lockout, firstLockout<<doubled)
		}
		e.LockedUntil = millis(now.Add(lockout))
	}
	return Decision{Events: []Event{e}, Reply: &PINRefused{Version: s.Version + 1}}, nil
}

func (p *Panel) evolve(e *PINWasWrong) { p.Wrong, p.Last, p.Until = e.Wrong, e.At, e.LockedUntil }

// right ends the row, unless the code of this key has done so lately.
func (p *Panel) right(key TempKeyID, at time.Time) {
	if p.Wrong == 0 {
		return
	}
	p.Ended = slices.DeleteFunc(p.Ended, func(r RowEnd) bool { return at.Sub(r.At) >= endsRowEvery })
	if !slices.ContainsFunc(p.Ended, func(r RowEnd) bool { return r.Key == key }) {
		*p = Panel{Ended: append(p.Ended, RowEnd{key, at})}
	}
}
