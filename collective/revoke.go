package collective

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// Get returns a key that opens doors, or did: a key that never came to be is not found.
func (k *Keys) Get(ctx context.Context, key lock.TempKeyID) (*Key, error) {
	id, err := lock.ParseTempKeyID(string(key))
	if err != nil {
		return nil, notFound()
	}
	s, err := k.load(ctx, id)
	if err != nil {
		return nil, lookedUp(err)
	}
	if !s.wasLive {
		return nil, notFound()
	}
	return k.key(s)
}

// Revoke returns when every lock has committed the revocation, and no open of the key can move a motor any more. Repeating
// it is fine. When that takes too long, or a lock cannot be reached, the error is of the kind Busy, and it is finished
// without the caller.
func (k *Keys) Revoke(ctx context.Context, by lock.Caller, key lock.TempKeyID) error {
	id, err := lock.ParseTempKeyID(string(key))
	if err != nil {
		return notFound()
	}
	for range maxAttempts {
		err = k.revoke(ctx, by, id)
		if !errors.Is(err, journal.ErrConflict) {
			break
		}
	}
	return outward(err)
}

func (k *Keys) revoke(ctx context.Context, by lock.Caller, key lock.TempKeyID) error {
	s, err := k.load(ctx, key)
	if err != nil {
		return err
	}
	if !s.wasLive || !mayManage(by, s.owner()) {
		return notFound()
	}
	if s.phase == live {
		r := &revoking{At: millis(k.Now()), By: by.Key, From: by.Addr, Name: by.Name()}
		if err := k.append(ctx, s, r); err != nil {
			return err
		}
	}
	if s.phase == over {
		return nil
	}
	err = k.finish(ctx, s)
	if err != nil && !errors.Is(err, journal.ErrConflict) {
		k.Logger.Warn("a collective key is revoked by some of its locks only, and by the others soon", "error", err)
		return busy("revocation-under-way", "The revocation is stored, but not all of the locks have it yet. It goes on by itself; repeat it to hear when it is done.")
	}
	return err
}

// mayManage tells whether a caller may see and revoke a key.
func mayManage(by, owner lock.Caller) bool {
	return by.Super || by.OrgID != "" && by.OrgID == owner.OrgID || by.UserID != "" && owner.OrgID == "" && by.UserID == owner.UserID
}

// abandon ends a key that was not granted in time, or not by all of its locks.
func (k *Keys) abandon(ctx context.Context, s *state, why string) error {
	if s.phase == creating {
		if err := k.append(ctx, s, &abandoned{At: millis(k.Now()), Reason: why}); err != nil {
			return err
		}
	}
	return k.finish(ctx, s)
}

// finish revokes the doors of a key whose end is stored, and stores that it was done.
func (k *Keys) finish(ctx context.Context, s *state) error {
	by := s.owner()
	by.Super = true // the lock may belong to somebody else by now
	if err := each(ctx, s.Doors, func(ctx context.Context, d *Door) error {
		_, err := k.insist(ctx, d.LockID, &lock.DeleteTempKey{By: by, TempKeyID: d.TempKeyID, Door: true})
		var rejection *lock.Error
		if errors.As(err, &rejection) && rejection.Kind == lock.NotFound {
			return nil // it was revoked, or never granted
		}
		return err
	}); err != nil {
		return fmt.Errorf("collective: revoke the doors: %w", err)
	}
	return k.append(ctx, s, &ended{At: millis(k.Now())})
}
