package collective

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

func streamOf(key lock.TempKeyID) string { return StreamPrefix + string(key) }

// listOf names the list that a key is in: its organisation's, or else its user's.
func listOf(owner lock.Caller) string {
	switch {
	case owner.OrgID != "":
		return "org/" + string(owner.OrgID)
	case owner.UserID != "":
		return "user/" + string(owner.UserID)
	default:
		return "super"
	}
}

func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// load reads a key. One that does not exist has the phase missing.
func (k *Keys) load(ctx context.Context, key lock.TempKeyID) (*state, error) {
	s := new(state)
	for r, err := range journal.All(ctx, k.Journal, streamOf(key), 0) { // five records at most
		if err != nil {
			return nil, fmt.Errorf("collective: %w", err)
		}
		if err := s.evolve(r); err != nil {
			return nil, fmt.Errorf("collective: %s: %w", r.Stream, err)
		}
	}
	return s, nil
}

// append stores what comes next, and applies it. An error that is journal.ErrConflict says that somebody else went on.
func (k *Keys) append(ctx context.Context, s *state, events ...any) error {
	key := s.UUID
	if r, first := events[0].(*requested); first {
		key = r.UUID
	}
	a := journal.Append{Stream: streamOf(key), Expected: s.version, ID: uuid.NewString()}
	for _, e := range events {
		record, err := newRecord(e, k.Now())
		if err != nil {
			return fmt.Errorf("collective: %w", err)
		}
		a.Records, a.Index = append(a.Records, record), append(a.Index, s.rows(e)...)
	}
	_, err := journal.Do(ctx, k.Journal, a)
	if errors.Is(err, journal.ErrUnknown) {
		err = k.resolve(ctx, &a, err)
	}
	if err != nil {
		return fmt.Errorf("collective: %w", err)
	}
	for _, r := range a.Records {
		if err := s.evolve(&journal.Record{Stream: a.Stream, Version: s.version + 1, Type: r.Type, Data: r.Data}); err != nil {
			return err
		}
	}
	return nil
}

// resolve finds out whether an append happened whose answer was lost.
func (k *Keys) resolve(ctx context.Context, a *journal.Append, unknown error) error {
	version, last, err := k.Journal.Head(ctx, a.Stream)
	switch {
	case err != nil:
		return errors.Join(unknown, err)
	case last == a.ID:
		return nil
	case version > a.Expected:
		return fmt.Errorf("%w: %s is at %d", journal.ErrConflict, a.Stream, version)
	}
	return unknown
}

// key shows a state to those outside.
func (k *Keys) key(s *state) (*Key, error) {
	key := &Key{
		UUID: s.UUID, Owner: s.owner(), ValidFrom: s.ValidFrom, ValidUntil: s.ValidUntil, Description: s.Description,
		CreatedAt: s.At, RevokedAt: s.revokedAt, Doors: s.Doors, HasPIN: len(s.PIN) > 0,
	}
	if !key.HasPIN || k.PINs == nil {
		return key, nil
	}
	var err error
	key.PIN, err = k.PINs.opened(s.UUID, s.PIN)
	return key, err
}
