package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/batch"
)

const (
	// readConnections read at the same time; a caller waits for a free one.
	readConnections = 4
	readerCacheKiB  = 1 << 10
)

// reader is a connection for reading with its statements. It sees what is durable, and nothing that is staged.
type reader struct {
	conn                            *sqlite.Conn
	begin, commit, rollback         *sqlite.Stmt
	end, link, record, data         *sqlite.Stmt
	all, claimed, entries, snapshot *sqlite.Stmt
	streams, index, snapshots       *sqlite.Stmt
}

// readers are the connections for reading. free has those that nobody is using, and is closed when none may be used.
type readers struct {
	all  []*reader
	free chan *reader
}

func openReaders(path string) (*readers, error) {
	rs := &readers{free: make(chan *reader, readConnections)}
	for range readConnections {
		r, err := openReader(path)
		if err != nil {
			return nil, errors.Join(err, rs.close())
		}
		rs.all = append(rs.all, r)
		rs.free <- r
	}
	return rs, nil
}

func openReader(path string) (*reader, error) {
	conn, err := connect(path, readerCacheKiB)
	if err != nil {
		return nil, err
	}
	if err := sqlitex.ExecuteTransient(conn, "PRAGMA query_only = ON", nil); err != nil {
		return nil, closeAfter(conn, err)
	}
	r := &reader{conn: conn}
	const fields = "r.version, r.position, r.type, r.time, r.append_id, r.data"
	for statement, query := range map[**sqlite.Stmt]string{
		&r.begin:    "BEGIN",
		&r.commit:   "COMMIT",
		&r.rollback: "ROLLBACK",
		&r.end: "SELECT s.id, " + linkFields + `, r.append_id FROM streams s LEFT JOIN records r ON r.position = coalesce(
			(SELECT max(n.position) FROM records n WHERE n.position > ?2 AND n.stream = s.id), ?3, s.head) WHERE s.name = ?1`,
		&r.link: "SELECT " + linkFields + " FROM records r WHERE r.position = ?",
		&r.record: `SELECT r.version, r.position, r.type, r.time, r.append_id, CASE WHEN length(r.data) <= ?2 THEN r.data END,
			r.stream, r.previous, length(r.data) FROM records r WHERE r.position = ?1`,
		&r.data: "SELECT r.data FROM records r WHERE r.position = ?",
		// CROSS JOIN keeps the order of the tables: along the positions, never along the streams.
		&r.all: "SELECT " + fields + `, s.name FROM records r CROSS JOIN streams s ON s.id = r.stream
			WHERE r.position > ? ORDER BY r.position LIMIT ?`,
		&r.claimed: "SELECT s.name FROM claims c JOIN streams s ON s.id = c.stream WHERE c.kind = ? AND c.key = ?",
		&r.entries: `SELECT e.ref, s.name FROM entries e CROSS JOIN streams s ON s.id = e.stream
			WHERE e.kind = ? AND e.key = ? AND e.ref > ? ORDER BY e.ref LIMIT ?`,
		&r.snapshot: `SELECT version, codec, data FROM snapshots
			WHERE stream = (SELECT id FROM streams WHERE name = ?)`,
		&r.streams: "SELECT name FROM streams WHERE name > ? ORDER BY name LIMIT ?",
		// Rows of streams that do not exist are shown too, to those that look for what is wrong.
		&r.index: `SELECT i.kind, i.key, i.ref, coalesce(s.name, 'stream number ' || i.stream) FROM (
				SELECT * FROM (SELECT kind, key, '' AS ref, stream FROM claims WHERE (kind, key) > (?1, ?2) ORDER BY kind, key LIMIT ?4)
				UNION ALL
				SELECT * FROM (SELECT kind, key, ref, stream FROM entries WHERE (kind, key, ref) > (?1, ?2, ?3) ORDER BY kind, key, ref LIMIT ?4)
			) i LEFT JOIN streams s ON s.id = i.stream ORDER BY i.kind, i.key, i.ref LIMIT ?4`,
		&r.snapshots: `SELECT s.name, x.version, x.codec, x.data FROM streams s JOIN snapshots x ON x.stream = s.id
			WHERE s.name > ? ORDER BY s.name LIMIT ?`,
	} {
		if *statement, err = conn.Prepare(query); err != nil {
			return nil, closeAfter(conn, err)
		}
	}
	return r, nil
}

// drain waits until no connection is in use. Whoever waits for one gets none.
func (rs *readers) drain() {
	for range rs.all {
		<-rs.free
	}
	close(rs.free)
}

// close closes the connections, which nobody may be using.
func (rs *readers) close() error {
	var errs []error
	for _, r := range rs.all {
		errs = append(errs, r.conn.Close())
	}
	return errors.Join(errs...)
}

// borrow lets use have a free connection. Queries run to their end even if ctx is done: they are bounded and need no
// scan, and an interrupt would cost each of them a goroutine.
func (j *Journal) borrow(ctx context.Context, use func(*reader) error) error {
	if err := j.usable(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case r, ok := <-j.readers.free:
		if !ok {
			return journal.ErrClosed
		}
		defer func() { j.readers.free <- r }()
		if err := use(r); err != nil {
			return j.readFailed(err)
		}
		return nil
	}
}

// read runs a query on a free connection.
func (j *Journal) read(ctx context.Context, query func(*reader) *sqlite.Stmt, row func(*sqlite.Stmt)) error {
	return j.borrow(ctx, func(r *reader) error { return rows(query(r), row) })
}

func rows(stmt *sqlite.Stmt, row func(*sqlite.Stmt)) error {
	for {
		found, err := stmt.Step()
		if err != nil {
			return err
		}
		if !found {
			return stmt.Reset()
		}
		row(stmt)
	}
}

// readFailed stops the journal when its file cannot be read or makes no sense.
func (j *Journal) readFailed(err error) error {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultIOErr, sqlite.ResultCorrupt, sqlite.ResultNotADB, sqlite.ResultCantOpen:
		return j.fail(err)
	default:
		return fmt.Errorf("sqlite journal: %w", err)
	}
}

// Head implements journal.Journal.
func (j *Journal) Head(ctx context.Context, stream string) (version uint64, lastAppendID string, err error) {
	err = j.borrow(ctx, func(r *reader) error {
		var head link
		head, lastAppendID, err = r.head(stream, j.writer.tail)
		version = head.version
		return err
	})
	return version, lastAppendID, err
}

// Confirm implements journal.Journal.
func (j *Journal) Confirm(stream string, version uint64, done func(error)) {
	batch.Confirm(j, stream, version, done)
}

// Read implements journal.Journal.
func (j *Journal) Read(ctx context.Context, stream string, after uint64, limit int) (records []journal.Record, err error) {
	err = j.borrow(ctx, func(r *reader) error {
		records, err = r.page(stream, j.writer.tail, after, limit)
		return err
	})
	return records, err
}

// ReadAll implements journal.Journal.
func (j *Journal) ReadAll(ctx context.Context, after uint64, limit int) (records []journal.Record, err error) {
	size := 0
	err = j.borrow(ctx, func(r *reader) error {
		r.all.BindInt64(1, bounded(after))
		r.all.BindInt64(2, int64(max(limit, 0)))
		for size < journal.PageBytes {
			found, err := r.all.Step()
			if err != nil {
				return err
			}
			if !found {
				break
			}
			records = append(records, record(r.all, r.all.ColumnText(6)))
			size += r.all.ColumnLen(5)
		}
		return r.all.Reset()
	})
	return records, err
}

// Claimed implements journal.Journal.
func (j *Journal) Claimed(ctx context.Context, kind, key string) (stream string, err error) {
	err = j.read(ctx, func(r *reader) *sqlite.Stmt {
		r.claimed.BindText(1, kind)
		r.claimed.BindText(2, key)
		return r.claimed
	}, func(row *sqlite.Stmt) { stream = row.ColumnText(0) })
	return stream, err
}

// Entries implements journal.Journal.
func (j *Journal) Entries(ctx context.Context, kind, key, after string, limit int) (entries []journal.Entry, err error) {
	err = j.read(ctx, func(r *reader) *sqlite.Stmt {
		r.entries.BindText(1, kind)
		r.entries.BindText(2, key)
		r.entries.BindText(3, after)
		r.entries.BindInt64(4, int64(max(limit, 0)))
		return r.entries
	}, func(row *sqlite.Stmt) {
		entries = append(entries, journal.Entry{Ref: row.ColumnText(0), Stream: row.ColumnText(1)})
	})
	return entries, err
}

// bounded is a version or position as SQLite knows it.
func bounded(after uint64) int64 { return int64(min(after, math.MaxInt64)) }

func record(row *sqlite.Stmt, stream string) journal.Record {
	return journal.Record{
		Stream: stream, Version: uint64(row.ColumnInt64(0)), Position: uint64(row.ColumnInt64(1)), Type: row.ColumnText(2),
		Time: time.UnixMilli(row.ColumnInt64(3)).UTC(), AppendID: row.ColumnText(4), Data: blob(row, 5),
	}
}

func blob(row *sqlite.Stmt, column int) []byte {
	data := make([]byte, row.ColumnLen(column))
	row.ColumnBytes(column, data)
	return data
}
