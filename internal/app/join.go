package app

import (
	"context"
	"errors"

	"github.com/latchkey/latchkey/actors"
	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/lock"
)

// apiLocks gives the API the locks in its own words.
type apiLocks struct{ *actors.Locks }

// Events turns what the journal says of a lock into what the API tells.
func (l apiLocks) Events(ctx context.Context, id lock.ID, after uint64, limit int) ([]api.Event, uint64, error) {
	records, total, err := l.Locks.Events(ctx, id, after, limit)
	if err != nil {
		return nil, 0, err
	}
	events := make([]api.Event, len(records))
	for i, r := range records {
		events[i] = api.Event{Version: r.Version, Event: r.Event}
	}
	return events, total, nil
}

// FindTempKey tells which lock a temporary key belongs to; 0 when there is none.
func (l apiLocks) FindTempKey(ctx context.Context, key lock.TempKeyID) (lock.ID, error) {
	id, err := l.Locks.FindTempKey(ctx, key)
	var rejection *lock.Error
	if errors.As(err, &rejection) && rejection.Kind == lock.NotFound {
		return 0, nil
	}
	return id, err
}
