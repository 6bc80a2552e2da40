package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey/latchkey/actors"
	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

// apiLocks gives the API the locks in its own words.
type apiLocks struct{ *actors.Locks }

// Events turns what the journal says of a lock into what the API tells.
func (l apiLocks) Events(ctx context.Context, id lock.ID, after uint64, limit int) ([]api.Event, uint64, error) {
	records, total, err := l.Locks.Events(ctx, id, after, limit)
	if err != nil {
		return nil, 0, lookedUp(err)
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
	return id, lookedUp(err)
}

// TempKeysBy lists the temporary keys that somebody created.
func (l apiLocks) TempKeysBy(ctx context.Context, creator string, after lock.TempKeyID, limit int) ([]api.KeyOfLock, error) {
	keys, err := l.Locks.TempKeysBy(ctx, creator, after, limit)
	if err != nil {
		return nil, lookedUp(err)
	}
	list := make([]api.KeyOfLock, len(keys))
	for i, k := range keys {
		list[i] = api.KeyOfLock(k)
	}
	return list, nil
}

// Do gives a lock a command.
func (l apiLocks) Do(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error) {
	reply, err := l.Locks.Do(ctx, id, c)
	return reply, inWordsOfAPI(err)
}

// apiUsers gives the API the directory in its own words.
type apiUsers struct{ *directory.Directory }

// Find gives the user of a contact.
func (u apiUsers) Find(ctx context.Context, org lock.OrgID, c directory.Contact) (directory.User, error) {
	user, err := u.Directory.Find(ctx, org, c)
	return user, lookedUp(err)
}

// FindOrCreate gives the user of a contact, and makes one if there is none.
func (u apiUsers) FindOrCreate(ctx context.Context, org lock.OrgID, c directory.Contact, by lock.Caller) (directory.User, bool, error) {
	user, created, err := u.Directory.FindOrCreate(ctx, org, c, by)
	return user, created, inWordsOfAPI(err)
}

// apiNames gives the API the names of requests in its own words.
type apiNames struct{ *named.Names }

// Begin takes the name of a request that leads to something in many streams.
func (n apiNames) Begin(ctx context.Context, r *named.Request) error {
	return inWordsOfAPI(n.Names.Begin(ctx, r))
}

// lookedUp says of an error of a look-up in the journal what is always true of it: nothing was done.
func lookedUp(err error) error {
	var rejection *lock.Error
	if err == nil || errors.As(err, &rejection) {
		return err
	}
	return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
}

// inWordsOfAPI says of an error whether the command may have been executed. Rejections stay what they are. The order
// matters: a failed store may also not know what it did last, which is no matter to those who only asked it.
func inWordsOfAPI(err error) error {
	var rejection *lock.Error
	switch {
	case err == nil, errors.As(err, &rejection):
		return err
	case errors.Is(err, directory.ErrUnavailable), errors.Is(err, named.ErrUnavailable):
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	case errors.Is(err, cluster.ErrUnknown), errors.Is(err, journal.ErrUnknown):
		return fmt.Errorf("%w: %w", api.ErrTimeout, err)
	case errors.Is(err, journal.ErrDeadline):
		return fmt.Errorf("%w: %w", api.ErrBusy, err)
	case errors.Is(err, journal.ErrFailed), errors.Is(err, journal.ErrClosed):
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	}
	return err
}
