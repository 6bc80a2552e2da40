package sqlite

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/latchkey/latchkey/journal"
)

// writerStatements are prepared once. Each row is a run of its own: an INSERT of several rows was measured to be no
// faster with 2 or 8 of them, and a good deal slower with 32.
type writerStatements struct {
	begin, commit, rollback *sqlite.Stmt
	findStream, addStream   *sqlite.Stmt
	addRecord               *sqlite.Stmt
	findTail                *sqlite.Stmt
	saveHead, saveKnown     *sqlite.Stmt
	findClaim, addClaim     *sqlite.Stmt
	removeClaim             *sqlite.Stmt
	putEntry, removeEntry   *sqlite.Stmt
	saveSnapshot            *sqlite.Stmt
	sizeOfWAL, restart      *sqlite.Stmt
}

func (s *writerStatements) prepare(conn *sqlite.Conn) (err error) {
	for statement, query := range map[**sqlite.Stmt]string{
		&s.begin:    "BEGIN IMMEDIATE",
		&s.commit:   "COMMIT",
		&s.rollback: "ROLLBACK",
		&s.findStream: "SELECT s.id, " + linkFields + `
			FROM streams s LEFT JOIN records r ON r.position = s.head WHERE s.name = ?`,
		&s.addStream: "INSERT INTO streams (id, name) VALUES (?, ?)",
		// SQLite takes the next position itself, which spares it a search for the one that it is told.
		&s.addRecord: `INSERT INTO records (stream, version, previous, milestone, type, time, append_id, data)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		&s.findTail: "SELECT s.name, s.head, " + linkFields + `
			FROM records r CROSS JOIN streams s ON s.id = r.stream WHERE r.position > ? ORDER BY r.position`,
		&s.saveHead:    "UPDATE streams SET head = ? WHERE id = ?",
		&s.saveKnown:   "UPDATE heads_known SET position = ?",
		&s.findClaim:   "SELECT c.stream, s.name FROM claims c LEFT JOIN streams s ON s.id = c.stream WHERE c.kind = ? AND c.key = ?",
		&s.addClaim:    "INSERT OR IGNORE INTO claims (kind, key, stream) VALUES (?, ?, ?)",
		&s.removeClaim: "DELETE FROM claims WHERE kind = ? AND key = ?",
		&s.putEntry:    "INSERT OR REPLACE INTO entries (kind, key, ref, stream) VALUES (?, ?, ?, ?)",
		&s.removeEntry: "DELETE FROM entries WHERE kind = ? AND key = ? AND ref = ? AND stream = ?",
		&s.saveSnapshot: `INSERT INTO snapshots (stream, version, codec, data) VALUES (?, ?, ?, ?)
			ON CONFLICT (stream) DO UPDATE SET version = excluded.version, codec = excluded.codec, data = excluded.data
			WHERE excluded.version > version`,
		&s.sizeOfWAL: "PRAGMA wal_checkpoint(NOOP)",
		&s.restart:   "PRAGMA wal_checkpoint(RESTART)",
	} {
		if *statement, err = conn.Prepare(query); err != nil {
			return err
		}
	}
	return nil
}

// run runs a statement whose rows do not matter.
func run(stmt *sqlite.Stmt) error {
	if _, err := stmt.Step(); err != nil {
		return err
	}
	return stmt.Reset()
}

// stage writes one append into the open transaction. What the append itself has done wrong is in the result, and then
// nothing was written; an error is one of SQLite, after which the transaction cannot be committed.
func (w *writer) stage(a *journal.Append, now time.Time) (journal.Result, error) {
	if !a.Deadline.IsZero() && !now.Before(a.Deadline) {
		return journal.Result{Err: journal.ErrDeadline}, nil
	}
	h, err := w.head(a.Stream)
	if err != nil {
		return journal.Result{}, err
	}
	if h.version != a.Expected {
		return journal.Result{Err: fmt.Errorf("%w: %s is at %d, not at %d", journal.ErrConflict, a.Stream, h.version, a.Expected)}, nil
	}
	switch taken, err := w.claim(cmp.Or(h.stream, w.stream+1), a.Index); {
	case err != nil:
		return journal.Result{}, err
	case taken != nil:
		return journal.Result{Err: taken}, nil
	}
	if h.stream == 0 {
		if err := w.addStream(a.Stream, h); err != nil {
			return journal.Result{}, err
		}
	}
	for i := range a.Records {
		if err := w.addRecord(h, a.ID, &a.Records[i]); err != nil {
			return journal.Result{}, err
		}
	}
	for i := range a.Index {
		if err := w.index(h, &a.Index[i]); err != nil {
			return journal.Result{}, err
		}
	}
	w.staged = append(w.staged, staged{a.Stream, h})
	return journal.Result{Version: h.version, Position: uint64(w.position)}, nil
}

// head returns the head of a stream, which the writer changes in place as it stages.
func (w *writer) head(stream string) (*link, error) {
	if h, ok := w.heads[stream]; ok {
		return h, nil
	}
	h := new(link)
	var ok bool
	if *h, ok = w.tail.heads[stream]; !ok { // which only the writer changes
		var err error
		if *h, err = w.findHead(stream); err != nil {
			return nil, err
		}
	}
	w.heads[stream] = h
	return h, nil
}

// findHead looks up the head of a stream that the tail does not know.
func (w *writer) findHead(stream string) (h link, err error) {
	find := w.statements.findStream
	find.BindText(1, stream)
	var id int64
	err = rows(find, func(row *sqlite.Stmt) { id, h = row.ColumnInt64(0), linkIn(row, 1) })
	if err == nil && h.stream != id {
		err = corrupt("the head of %s is lost", stream)
	}
	return h, err
}

// claim makes the claims of an append for its stream. When one of them cannot be had it undoes the others and tells which; only
// for one that was there before a claim costs more than its INSERT.
func (w *writer) claim(stream int64, index []journal.IndexChange) (taken *journal.ClaimError, err error) {
	w.claimed = w.claimed[:0]
	for i := range index {
		c := &index[i]
		if c.Op != journal.Claim {
			continue
		}
		add := w.statements.addClaim
		add.BindText(1, c.Kind)
		add.BindText(2, c.Key)
		add.BindInt64(3, stream)
		if err := run(add); err != nil {
			return nil, err
		}
		if w.conn.Changes() > 0 {
			w.claimed = append(w.claimed, c)
			continue
		}
		if holder, name, err := w.holder(c); err != nil {
			return nil, err
		} else if holder != stream || c.New && !w.hasClaimed(c) {
			return &journal.ClaimError{Kind: c.Kind, Key: c.Key, Stream: name}, w.unclaim()
		}
	}
	return nil, nil
}

// hasClaimed tells whether the append itself has just made a claim.
func (w *writer) hasClaimed(c *journal.IndexChange) bool {
	return slices.ContainsFunc(w.claimed, func(o *journal.IndexChange) bool { return o.Kind == c.Kind && o.Key == c.Key })
}

// unclaim takes back the claims that the append has just made.
func (w *writer) unclaim() error {
	for _, c := range w.claimed {
		remove := w.statements.removeClaim
		remove.BindText(1, c.Kind)
		remove.BindText(2, c.Key)
		if err := run(remove); err != nil {
			return err
		}
	}
	return nil
}

// holder returns the stream that holds a claim. It has no name yet if it is the one that is being added.
func (w *writer) holder(c *journal.IndexChange) (id int64, name string, err error) {
	find := w.statements.findClaim
	find.BindText(1, c.Kind)
	find.BindText(2, c.Key)
	found, err := find.Step()
	if err != nil {
		return 0, "", err
	}
	if found {
		id, name = find.ColumnInt64(0), find.ColumnText(1)
	}
	return id, name, find.Reset()
}

func (w *writer) addStream(name string, h *link) error {
	w.stream++
	h.stream = w.stream
	add := w.statements.addStream
	add.BindInt64(1, h.stream)
	add.BindText(2, name)
	return run(add)
}

func (w *writer) addRecord(h *link, appendID string, r *journal.NewRecord) error {
	w.position++
	h.advance(w.position)
	add := w.statements.addRecord
	add.BindInt64(1, h.stream)
	add.BindInt64(2, int64(h.version))
	add.BindInt64(3, h.previous)
	add.BindInt64(4, h.milestone)
	add.BindText(5, r.Type)
	add.BindInt64(6, r.Time.UnixMilli())
	add.BindText(7, appendID)
	add.BindBytes(8, r.Data)
	if err := run(add); err != nil {
		return err
	}
	switch at := w.conn.LastInsertRowID(); {
	case at < w.position:
		return corrupt("record %d is lost", w.position-1)
	case at > w.position:
		return fmt.Errorf("%w: record %d would be record %d", errBehind, w.position, at)
	}
	return nil
}

// index makes the other changes of the index: claims were made before.
func (w *writer) index(h *link, c *journal.IndexChange) error {
	var change *sqlite.Stmt
	switch c.Op {
	case journal.Claim:
		return nil
	case journal.Put:
		change = w.statements.putEntry
	case journal.Remove:
		change = w.statements.removeEntry
	}
	change.BindText(1, c.Kind)
	change.BindText(2, c.Key)
	change.BindText(3, c.Ref)
	change.BindInt64(4, h.stream)
	return run(change)
}
