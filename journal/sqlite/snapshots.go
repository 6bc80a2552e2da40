package sqlite

import (
	"context"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/latchkey/latchkey/journal"
)

// SaveSnapshot implements journal.Journal.
func (j *Journal) SaveSnapshot(ctx context.Context, s journal.Snapshot) error {
	if err := j.usable(ctx); err != nil {
		return err
	}
	if !j.snapshots.Put(s) {
		j.metrics.SnapshotsLeftOut.Inc()
		return nil
	}
	j.nudge()
	return nil
}

// saveSnapshots saves some of the snapshots that wait, in a transaction that is not fsynced: after a power cut the WAL
// ends before it, which costs snapshots only, because the next append's fsync covers everything before that append.
// It returns whether more are waiting.
func (j *Journal) saveSnapshots() (more bool) {
	some, more := j.snapshots.Take()
	if len(some) == 0 || j.failure.Load() != nil {
		return false
	}
	if err := j.writer.save(some); err != nil {
		_ = j.fail(err) // it is kept, and every call returns it
		return false
	}
	if more {
		j.nudge()
	}
	return more
}

func (w *writer) save(some []journal.Snapshot) error {
	if err := sqlitex.ExecuteTransient(w.conn, "PRAGMA synchronous = NORMAL", nil); err != nil {
		return err
	}
	if err := run(w.statements.begin); err != nil {
		return err
	}
	for i := range some {
		if err := w.saveOne(&some[i]); err != nil {
			return err
		}
		w.walPages += 1 + len(some[i].Data)/(pageSize/2)
	}
	if err := run(w.statements.commit); err != nil {
		return err
	}
	return sqlitex.ExecuteTransient(w.conn, "PRAGMA synchronous = FULL", nil)
}

func (w *writer) saveOne(s *journal.Snapshot) error {
	h, err := w.head(s.Stream)
	if err != nil || s.Version > h.version {
		return err // a state that the stream has not reached, or that no crash would leave it in
	}
	save := w.statements.saveSnapshot
	save.BindInt64(1, h.stream)
	save.BindInt64(2, int64(s.Version))
	save.BindText(3, s.Codec)
	save.BindBytes(4, s.Data)
	return run(save)
}

// LoadSnapshot implements journal.Journal.
func (j *Journal) LoadSnapshot(ctx context.Context, stream string) (s journal.Snapshot, ok bool, err error) {
	err = j.read(ctx, func(r *reader) *sqlite.Stmt {
		r.snapshot.BindText(1, stream)
		return r.snapshot
	}, func(row *sqlite.Stmt) {
		ok = true
		s = journal.Snapshot{Stream: stream, Version: uint64(row.ColumnInt64(0)), Codec: row.ColumnText(1), Data: blob(row, 2)}
	})
	return s, ok, err
}
