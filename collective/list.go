package collective

import (
	"context"

	"github.com/latchkey/latchkey/lock"
)

// List returns up to limit keys that the caller manages, revoked ones too, in the order of their UUIDs from the one after
// `after` on; with a lock, only those with a door of it. next is where the next page begins, empty after the last one. The
// super key sees the keys that were made with it.
func (k *Keys) List(ctx context.Context, by lock.Caller, of lock.ID, after string, limit int) (keys []*Key, next string, err error) {
	for {
		rows, err := k.Journal.Entries(ctx, entryKind, listOf(by), after, min(pageSize, limit+1))
		if err != nil {
			return nil, "", outward(err)
		}
		for _, row := range rows {
			if len(keys) == limit {
				return keys, after, nil
			}
			after = row.Ref
			key, err := k.Get(ctx, lock.TempKeyID(row.Ref))
			if err != nil {
				return nil, "", err
			}
			if of == 0 || key.opens(of) {
				keys = append(keys, key)
			}
		}
		if len(rows) < min(pageSize, limit+1) {
			return keys, "", nil
		}
	}
}

func (k *Key) opens(id lock.ID) bool {
	for i := range k.Doors {
		if k.Doors[i].LockID == id {
			return true
		}
	}
	return false
}
