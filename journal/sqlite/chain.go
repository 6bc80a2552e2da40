package sqlite

import (
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/latchkey/latchkey/journal"
)

// milestoneEvery so many versions of a stream one is a milestone. The schema has the number, too.
const milestoneEvery = 256

// link is a record's place in its stream. The records of a stream are a chain from the last to the first: each names the
// one before it, and the last milestone before it, so that a reader of old records gets there in few steps. The writer
// knows the last link of every stream that is in use, so that the chain costs it nothing but the bytes.
type link struct {
	stream    int64 // 0: there is no such record
	version   uint64
	position  int64
	previous  int64 // position, or 0
	milestone int64 // position, or 0
}

// linkFields are the columns that linkIn expects.
const linkFields = "r.stream, r.version, r.position, r.previous, r.milestone"

func linkIn(row *sqlite.Stmt, column int) link {
	return link{
		stream: row.ColumnInt64(column), version: uint64(row.ColumnInt64(column + 1)), position: row.ColumnInt64(column + 2),
		previous: row.ColumnInt64(column + 3), milestone: row.ColumnInt64(column + 4),
	}
}

// advance makes it the link of the stream's next record.
func (l *link) advance(position int64) {
	if l.version%milestoneEvery == 0 {
		l.milestone = l.position
	}
	l.version++
	l.previous, l.position = l.position, position
}

// head returns the last link of a stream, and the ID of its append. Records that were committed after the tail was
// looked at count as well: what one read has shown, the next one must show.
func (r *reader) head(stream string, t *tail) (head link, appendID string, err error) {
	position, upTo := t.find(stream) // before the file is looked at
	r.end.BindText(1, stream)
	r.end.BindInt64(2, upTo)
	if r.end.BindNull(3); position != 0 {
		r.end.BindInt64(3, position)
	}
	var id int64
	err = rows(r.end, func(row *sqlite.Stmt) {
		id, head, appendID = row.ColumnInt64(0), linkIn(row, 1), row.ColumnText(6)
	})
	if err == nil && head.stream != id {
		err = corrupt("the head of %s is lost", stream)
	}
	return head, appendID, err
}

// small is the data in bytes that a record may have to be read on the way back through its stream, before it is known whether its page has
// room for it. Most have less.
const small = 1024

// page returns up to limit records of a stream, from the version after `after` on, as far as journal.PageBytes goes. The transaction
// spares each step the locks of one of its own; what it sees of the file is what is there at its first query, which is head's.
func (r *reader) page(stream string, t *tail, after uint64, limit int) (records []journal.Record, err error) {
	if err := run(r.begin); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, run(r.rollback))
			return
		}
		err = run(r.commit)
	}()
	head, _, err := r.head(stream, t)
	if err != nil || head.version <= after || limit <= 0 {
		return nil, err
	}
	last := after + min(head.version-after, uint64(limit))
	position, err := r.seek(head, last)
	if err != nil {
		return nil, err
	}
	records, sizes := make([]journal.Record, last-after), make([]int, last-after)
	for version := last; version > after; version-- {
		at, id := position, int64(0)
		r.record.BindInt64(1, at)
		r.record.BindInt64(2, small)
		if err := rows(r.record, func(row *sqlite.Stmt) {
			records[version-after-1], id, position = record(row, stream), row.ColumnInt64(6), row.ColumnInt64(7)
			sizes[version-after-1] = row.ColumnInt(8)
		}); err != nil {
			return nil, err
		}
		if id != head.stream || records[version-after-1].Version != version {
			return nil, corrupt("record %d is not version %d of %s", at, version, stream)
		}
	}
	return r.fill(records, sizes)
}

// fill reads the data that page has left out, of as many of the records as are one page.
func (r *reader) fill(records []journal.Record, sizes []int) ([]journal.Record, error) {
	total := 0
	for i := range records {
		if total >= journal.PageBytes {
			clear(records[i:])
			return records[:i], nil
		}
		total += sizes[i]
		if sizes[i] <= small {
			continue
		}
		r.data.BindInt64(1, int64(records[i].Position))
		if err := rows(r.data, func(row *sqlite.Stmt) { records[i].Data = blob(row, 0) }); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// seek goes back from a link to a version, and returns its position.
func (r *reader) seek(l link, version uint64) (position int64, err error) {
	for l.version > version {
		stream, want, at := l.stream, l.version-1, l.previous
		if milestone := want / milestoneEvery * milestoneEvery; milestone >= version {
			want, at = milestone, l.milestone
		}
		l = link{}
		r.link.BindInt64(1, at)
		if err := rows(r.link, func(row *sqlite.Stmt) { l = linkIn(row, 0) }); err != nil {
			return 0, err
		}
		if l.stream != stream || l.version != want {
			return 0, corrupt("record %d is not version %d of stream %d", at, want, stream)
		}
	}
	return l.position, nil
}

// corrupt is the error of a file that SQLite can read but that makes no sense.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", sqlite.ResultCorrupt.ToError(), fmt.Sprintf(format, args...))
}
