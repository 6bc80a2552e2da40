package lock

import (
	"crypto/subtle"
	"time"
)

// ReasonPINTaken is the reason of the rejection of a door whose code another key of the lock has.
const ReasonPINTaken = "pin-taken"

const pinHashBytes = 32

// Door makes a temporary key the lock's part of a collective key. Who created that key revokes the part through it only; others whose
// lock it is, perhaps since later, can delete the part. It is never changed.
type Door struct {
	Key    TempKeyID `json:"key"`           // the collective key
	Number int64     `json:"number"`        // of the door, from 1
	Link   bool      `json:"link"`          // it opens with the link; otherwise with the code only
	PIN    []byte    `json:"pin,omitempty"` // hash of the code; nil: there is none
	// Owner is whose the collective key is: the scope of an organisation, or else that of a user or the operator. The lock notes it
	// of the caller who makes the part. Empty in records from before.
	Owner string `json:"owner,omitempty"`
}

// ownedBy is the part as a caller makes it.
func (d *Door) ownedBy(c Caller) *Door {
	if d == nil {
		return nil
	}
	owned := *d
	if owned.Owner = c.nearest(); c.OrgID != "" {
		owned.Owner = Caller{OrgID: c.OrgID}.nearest()
	}
	return &owned
}

// isOf tells whether the collective key is the caller's, who can revoke it then.
func (d *Door) isOf(c Caller) bool {
	return c.OrgID != "" && d.Owner == Caller{OrgID: c.OrgID}.nearest() ||
		c.UserID != "" && d.Owner == Caller{UserID: c.UserID}.nearest() ||
		c.Super && d.Owner == Caller{Super: true}.nearest()
}

// deletable tells whether the caller may delete the key by itself. Everybody who sees a part can get rid of it: this way, or with the collective
// key.
func (k *TempKey) deletable(c Caller) bool {
	switch {
	case k.Door == nil:
		return true
	case k.Door.Owner == "":
		return k.CreatedBy != c.Name()
	}
	return !k.Door.isOf(c)
}

// shownTo is the part as a caller may know it. Whoever has the collective key's UUID has its link, which opens doors of other locks: the
// owner of this one, or the organisation that has it since, must not have it.
func (d *Door) shownTo(c Caller) *Door {
	if d == nil || c.Super || d.isOf(c) {
		return d
	}
	hidden := *d
	hidden.Key = ""
	return &hidden
}

// ByLink tells whether the key opens with its link.
func (k *TempKey) ByLink() bool { return k.Door == nil || k.Door.Link }

// ForAnyone tells whether whoever has the key's link can open with it, when it is valid.
func (k *TempKey) ForAnyone() bool { return k.AccessMode == Public && k.ByLink() }

// OpensForAnyone tells whether whoever has the key's link can open with it now.
func (k *TempKeyView) OpensForAnyone() bool { return k.Status == StatusValid && k.ForAnyone() }

func (d *Door) check() error {
	if d.Number < 1 || d.PIN != nil && len(d.PIN) != pinHashBytes || d.PIN == nil && !d.Link {
		return invalid("", "door-invalid", "a door needs a number from 1 on, and a link or the hash of a code, which has 32 bytes")
	}
	return nil
}

// equal tells whether two parts were asked for with the same words.
func (d *Door) equal(o *Door) bool {
	if d == nil || o == nil {
		return d == o
	}
	return d.Key == o.Key && d.Number == o.Number && d.Link == o.Link && subtle.ConstantTimeCompare(d.PIN, o.PIN) == 1
}

// checkDoor tells why the lock cannot take a key as its part of a collective key.
func (s *State) checkDoor(k *TempKey, grantBy, now time.Time) error {
	if k.Door == nil {
		return nil
	}
	if err := k.Door.check(); err != nil {
		return err
	}
	if !now.Before(grantBy) {
		return reject(Conflict, "grant-too-late", "The collective key was given up before this lock heard of it. Create another one.")
	}
	if k.Door.PIN != nil && s.byPIN(k.Door.PIN, now) != nil {
		return reject(Conflict, ReasonPINTaken, "Another key of the lock has this code.")
	}
	return nil
}

// byPIN finds the key with a code among those that are not over. It looks at all of them, whichever it finds.
func (s *State) byPIN(hash []byte, now time.Time) (found *TempKey) {
	for _, k := range s.TempKeys.list {
		if now.Before(k.ValidUntil) && k.hasPIN(hash) {
			found = k
		}
	}
	return found
}

// hasPIN tells whether a hash is that of the key's code.
func (k *TempKey) hasPIN(hash []byte) bool {
	return k.Door != nil && k.Door.PIN != nil && subtle.ConstantTimeCompare(k.Door.PIN, hash) == 1
}

func partOfCollective() *Error {
	return reject(Conflict, "part-of-collective-key", "This is one door of a collective key. Revoke that key, with all its doors, instead.")
}
