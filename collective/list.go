package collective

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// Page is a part of a list.
type Page struct {
	Keys   []*Key
	Next   string // where the next page begins; empty after the last one
	Looked int    // how many keys were looked at for it, also when it is not told
}

// List returns up to limit keys that the caller manages, revoked ones too, in the order of their UUIDs from the one after
// `after` on; with a lock, only those with a door of it. A page ends before that when atMost keys, or a few more, were looked at:
// each is a stream to read. The super key sees the keys that were made with it.
func (k *Keys) List(ctx context.Context, by lock.Caller, of lock.ID, after string, limit, atMost int) (p Page, err error) {
	for {
		rows, err := k.Journal.Entries(ctx, entryKind, listOf(by), after, listedAtOnce)
		if err != nil {
			return p, lookedUp(err)
		}
		for few := range slices.Chunk(rows, abreast) {
			if len(p.Keys) == limit || p.Looked >= atMost {
				p.Next = after
				return p, nil
			}
			p.Looked += len(few)
			keys, err := k.read(ctx, few)
			if err != nil {
				return p, err
			}
			for i, key := range keys {
				if len(p.Keys) == limit {
					p.Next = after
					return p, nil
				}
				after = few[i].Ref
				if of == 0 || key.opens(of) {
					p.Keys = append(p.Keys, key)
				}
			}
		}
		if len(rows) < listedAtOnce {
			return p, nil
		}
	}
}

// read reads a few keys of a list at the same time.
func (k *Keys) read(ctx context.Context, rows []journal.Entry) ([]*Key, error) {
	keys := make([]*Key, len(rows))
	group, ctx := errgroup.WithContext(ctx)
	for i, row := range rows {
		group.Go(func() (err error) {
			keys[i], err = k.Get(ctx, lock.TempKeyID(row.Ref))
			return err
		})
	}
	return keys, group.Wait()
}

func (k *Key) opens(id lock.ID) bool {
	return slices.ContainsFunc(k.Doors, func(d Door) bool { return d.LockID == id })
}
