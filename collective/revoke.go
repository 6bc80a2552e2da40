package collective

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

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
	if s.phase == missing || !mayManage(by, s.owner()) {
		return notFound()
	}
	if !s.wasLive {
		return k.clear(ctx, s)
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
	var late *journal.ClaimError
	for range maxAttempts {
		// In this order: of a door that was taken before, the lock's word that there is none is final.
		untaken, err := k.untaken(ctx, s)
		if err != nil {
			return err
		}
		if _, err := k.takeBack(ctx, s); err != nil {
			return err
		}
		if err := k.append(ctx, s, &ended{At: millis(k.Now()), Untaken: untaken}); !errors.As(err, &late) {
			return err
		}
	}
	return fmt.Errorf("collective: doors are still being granted: %w", late)
}

// untaken are the doors that no lock has ever had. A grant of one of them may be under way, for as long as a node is frozen.
func (k *Keys) untaken(ctx context.Context, s *state) ([]lock.TempKeyID, error) {
	if s.wasLive {
		return nil, nil
	}
	free := make([]bool, len(s.Doors))
	err := each(ctx, s.Doors, func(ctx context.Context, d *Door) error {
		holder, err := k.Journal.Claimed(ctx, claimKind, string(d.TempKeyID))
		free[d.Number-1] = holder == ""
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("collective: look up the doors: %w", err)
	}
	var ids []lock.TempKeyID
	for i := range s.Doors {
		if free[i] {
			ids = append(ids, s.Doors[i].TempKeyID)
		}
	}
	return ids, nil
}

// takeBack has the locks delete the doors of a key, and tells whether any of them had one.
func (k *Keys) takeBack(ctx context.Context, s *state) (had bool, err error) {
	by := s.owner()
	by.Super = true // the lock may belong to somebody else by now
	var found atomic.Bool
	err = all(s.Doors, func(d *Door) error {
		_, err := k.insist(ctx, d.LockID, &lock.DeleteTempKey{By: by, TempKeyID: d.TempKeyID, Door: true})
		var rejection *lock.Error
		if errors.As(err, &rejection) && rejection.Kind == lock.NotFound {
			return nil // it was revoked, or never granted
		}
		found.Store(true)
		if err != nil {
			return fmt.Errorf("lock %s: %w", d.LockID, err)
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("collective: revoke the doors: %w", err)
	}
	return found.Load(), nil
}

// all does something for all the doors, some of them at the same time, and tells all that went wrong. A lock that fails keeps no other door
// open, and neither do those that do not answer in time: the doors come in another order each time.
func all(doors []Door, do func(*Door) error) error {
	errs := make([]error, len(doors))
	var group errgroup.Group
	group.SetLimit(abreast)
	for _, i := range rand.Perm(len(doors)) {
		group.Go(func() error {
			errs[i] = do(&doors[i])
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

// clear deletes the doors that a key has which never came to be. Its end leaves none, but in journals from before it took the UUIDs of the
// doors a lock may have been granted one after it, and shows it to those whose key that is.
func (k *Keys) clear(ctx context.Context, s *state) error {
	if s.phase == over {
		if found, err := k.takeBack(ctx, s); found || err != nil {
			return err
		}
	}
	return notFound()
}
