package named

import (
	"context"
	"errors"
	"time"

	"github.com/latchkey/latchkey/journal"
)

// Names takes the names of requests whose effects are in many streams, each of which remembers its own part. May be used from any
// goroutine.
type Names struct {
	journal journal.Journal
	now     func() time.Time
}

// NewNames makes Names on a journal; now is time.Now when it is nil.
func NewNames(j journal.Journal, now func() time.Time) *Names {
	if now == nil {
		now = time.Now
	}
	return &Names{journal: j, now: now}
}

// Begin takes the name of a request before it has led to anything, or finds that the same request has taken it. Another request of
// this name is a *lock.Error of the kind Mismatch.
func (n *Names) Begin(ctx context.Context, r *Request) error {
	before, err := r.Before(ctx, n.journal, n.now())
	if before != nil || err != nil {
		return err
	}
	err = r.Keep(ctx, n.journal, n.now(), "", 0)
	var taken *journal.ClaimError
	if errors.As(err, &taken) || errors.Is(err, journal.ErrConflict) { // somebody was faster
		_, err = r.Before(ctx, n.journal, n.now())
	}
	return err
}
