package lock

import (
	"slices"
	"time"
)

// What becomes of the opens with a key whose terms change, or that is revoked.

// withdraw takes the held opens with a key, whose terms become k, out of their commands when k does not cover them.
func (s *State) withdraw(d *Decision, k *TempKey, revoked bool, now time.Time) {
	for _, cmd := range s.Commands {
		if cmd.Outcome != Reserved {
			continue
		}
		for _, r := range cmd.Requests {
			if k.covers(r, cmd, now) {
				continue
			}
			d.Events = append(d.Events, &LockOpenFailed{
				Stamp: s.stamp("", now), CommandID: cmd.ID, RequestID: r.ID, Outcome: Refused, Reason: "temp-key-withdrawn",
				Message: "The key was revoked or changed before the lock came back.", OpenFor: openFor(r),
			})
			if !revoked {
				s.giveBack(d, r, now)
			}
		}
	}
}

// waitOut delays the reply for the opens with a key that may be on the wire and that its new terms k do not cover.
// They cannot be called back; the reply waits until they can do no harm.
func (s *State) waitOut(d *Decision, k *TempKey, now time.Time) {
	for _, cmd := range s.Commands {
		safe := cmd.over().Add(driftMargin)
		if cmd.Outcome != Sent || !now.Before(safe) {
			continue
		}
		if slices.ContainsFunc(cmd.Requests, func(r *request) bool { return !k.covers(r, cmd, now) }) {
			d.SafeAfter = append(d.SafeAfter, cmd.ID)
			if safe.After(d.SafeAt) {
				d.SafeAt = safe
			}
		}
	}
}

// covers tells whether the key would still allow the request that is on its way. It has no say in those of other keys.
func (k *TempKey) covers(r *request, cmd *DeviceCommand, now time.Time) bool {
	if r.TempKeyID == "" || r.TempKeyID != k.UUID {
		return true
	}
	if cmd.Deadline.Before(now) {
		now = cmd.Deadline // the motor moves by then, if it does
	}
	w, ok := k.window(now, cmd.Deadline.Sub(now))
	return ok && w.open && cmd.Deadline.Before(w.Until) && k.mayUse(r.UserID)
}

// Unended are those of the commands whose end is not known: what a revocation that was told of them still waits for. Only the device's
// word, or proof, ends one; one that was not answered in time has not ended.
func (s *State) Unended(ids []CommandID) (left []CommandID) {
	for _, id := range ids {
		if s.command(id) != nil {
			left = append(left, id)
		}
	}
	return left
}
