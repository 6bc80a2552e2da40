package actors

import (
	"context"
	"fmt"

	"github.com/latchkey/latchkey/lock"
)

// KeyOfLock is a temporary key and the lock that it belongs to.
type KeyOfLock struct {
	Key  lock.TempKeyID
	Lock lock.ID
}

// TempKeysBy lists up to limit temporary keys that somebody created and nobody deleted, in the order of their UUIDs, from the one
// after `after` on. It asks the journal and not the locks: who may see them is for the locks to say.
func (l *Locks) TempKeysBy(ctx context.Context, creator string, after lock.TempKeyID, limit int) ([]KeyOfLock, error) {
	entries, err := l.shell.Journal.Entries(ctx, byCreator, creator, string(after), limit)
	if err != nil {
		return nil, fmt.Errorf("actors: the keys of a creator: %w", err)
	}
	keys := make([]KeyOfLock, len(entries))
	for i, e := range entries {
		id, err := lockOf(e.Stream)
		if err != nil {
			return nil, fmt.Errorf("actors: the key %s is an entry of %q: %w", e.Ref, e.Stream, err)
		}
		keys[i] = KeyOfLock{Key: lock.TempKeyID(e.Ref), Lock: id}
	}
	return keys, nil
}
