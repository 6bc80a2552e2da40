package sqlite

import (
	"context"

	"zombiezen.com/go/sqlite"

	"github.com/latchkey/latchkey/journal"
)

// Streams implements journal.Journal. There is no transaction around it, because a head must be looked for in the tail
// before the file is looked at.
func (j *Journal) Streams(ctx context.Context, after string, limit int) (streams []journal.Stream, err error) {
	err = j.borrow(ctx, func(r *reader) error {
		r.streams.BindText(1, after)
		r.streams.BindInt64(2, int64(max(limit, 0)))
		if err := rows(r.streams, func(row *sqlite.Stmt) {
			streams = append(streams, journal.Stream{Name: row.ColumnText(0)})
		}); err != nil {
			return err
		}
		for i := range streams {
			head, appendID, err := r.head(streams[i].Name, j.writer.tail)
			if err != nil {
				return err
			}
			streams[i].Version, streams[i].AppendID = head.version, appendID
		}
		return nil
	})
	return streams, err
}

// Index implements journal.Journal.
func (j *Journal) Index(ctx context.Context, after journal.IndexRow, limit int) (index []journal.IndexRow, err error) {
	err = j.read(ctx, func(r *reader) *sqlite.Stmt {
		r.index.BindText(1, after.Kind)
		r.index.BindText(2, after.Key)
		r.index.BindText(3, after.Ref)
		r.index.BindInt64(4, int64(max(limit, 0)))
		return r.index
	}, func(row *sqlite.Stmt) {
		index = append(index, journal.IndexRow{Kind: row.ColumnText(0), Key: row.ColumnText(1), Ref: row.ColumnText(2), Stream: row.ColumnText(3)})
	})
	return index, err
}

// Snapshots implements journal.Journal.
func (j *Journal) Snapshots(ctx context.Context, after string, limit int) (snapshots []journal.Snapshot, err error) {
	err = j.read(ctx, func(r *reader) *sqlite.Stmt {
		r.snapshots.BindText(1, after)
		r.snapshots.BindInt64(2, int64(max(limit, 0)))
		return r.snapshots
	}, func(row *sqlite.Stmt) {
		snapshots = append(snapshots, journal.Snapshot{
			Stream: row.ColumnText(0), Version: uint64(row.ColumnInt64(1)), Codec: row.ColumnText(2), Data: blob(row, 3),
		})
	})
	return snapshots, err
}
