package collective

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// sweepEvery is how often keys are looked for that were left half done. Each member of a cluster looks, at its own time.
const sweepEvery = 15 * time.Second

// Sweep finishes what crashes have left half done, until ctx ends: keys that are not granted long after they were
// begun are undone, and revocations are carried on.
func (k *Keys) Sweep(ctx context.Context) {
	for {
		if err := k.sweep(ctx); err != nil && ctx.Err() == nil {
			k.Logger.Warn("collective keys that are half done were not all finished, trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery/2 + rand.N(sweepEvery)):
		}
	}
}

func (k *Keys) sweep(ctx context.Context) error {
	var errs []error
	for after := ""; ; {
		rows, err := k.Journal.Entries(ctx, unfinishedKind, unfinishedKey, after, pageSize)
		if err != nil {
			return fmt.Errorf("collective: %w", err)
		}
		for _, row := range rows {
			if err := k.goOn(ctx, lock.TempKeyID(row.Ref)); err != nil && !errors.Is(err, journal.ErrConflict) {
				errs = append(errs, err)
			}
			after = row.Ref
		}
		if len(rows) < pageSize {
			return errors.Join(errs...)
		}
	}
}

// goOn finishes one key. A conflict means that somebody else does.
func (k *Keys) goOn(ctx context.Context, key lock.TempKeyID) error {
	ctx, cancel := context.WithTimeout(ctx, finishFor)
	defer cancel()
	s, err := k.load(ctx, key)
	switch {
	case err != nil:
		return err
	case s.phase == creating && k.Now().Before(s.GiveUpAt) && (k.Journal.Shared() || !s.At.Before(k.begun)):
		return nil // it may be under way
	case s.phase == creating || s.phase == undoing:
		return k.abandon(ctx, s, "it was not granted in time")
	case s.phase == revoked:
		return k.finish(ctx, s)
	}
	return nil // it was finished meanwhile
}
