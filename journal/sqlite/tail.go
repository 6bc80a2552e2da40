package sqlite

import (
	"cmp"
	"slices"
	"sync"

	"zombiezen.com/go/sqlite"
)

// saveHeadsEvery so many records the heads that are not in the file yet are due to be brought there. Open has to look at
// about twice as many records after a crash.
const saveHeadsEvery = 8192

// tail has the heads (the last links of the streams) that the file does not have yet. With many streams nearly every
// append would write a page of its own for its head: that made an open's appends cost three times the CPU. Every head as
// of upTo is either here or in the file. The writer brings them there a few at a time, and then writes down (in
// heads_known) from which position on it has to look for them after a crash.
//
// The writer alone changes the tail, after its commits. A reader looks here before it looks at the file, so that it
// finds a head at one of the two even if the writer brings it there in between.
type tail struct {
	mu    sync.RWMutex
	heads map[string]link
	upTo  int64
}

func newTail() *tail { return &tail{heads: make(map[string]link)} }

// find returns the position of a stream's last record, or 0 when the file knows it, and as of when.
func (t *tail) find(stream string) (position, upTo int64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.heads[stream].position, t.upTo
}

// staged is a head that a transaction moved, or brings to the file.
type staged struct {
	name string
	*link
}

// flush is what the writer is bringing to the file.
type flush struct {
	every int64    // saveHeadsEvery
	known int64    // heads_known
	upTo  int64    // what it will be when nothing is due any more
	due   []staged // in the order of the file
}

// openTail finds the heads that the last process did not bring to the file.
func (w *writer) openTail() (err error) {
	w.flush.every = saveHeadsEvery
	w.flush.known, err = queryNumber(w.conn, "SELECT position FROM heads_known")
	w.tail.upTo = w.flush.known
	return err
}

// catchUp looks at the records that the tail has not seen: after a crash, and when somebody else has written to the
// file. It returns the last position.
func (w *writer) catchUp() (position int64, err error) {
	w.tail.mu.Lock()
	defer w.tail.mu.Unlock()
	find := w.statements.findTail
	find.BindInt64(1, w.tail.upTo)
	var broken error
	err = rows(find, func(row *sqlite.Stmt) {
		stream, saved, head := row.ColumnText(0), row.ColumnInt64(1), linkIn(row, 2)
		before := saved // or later: the process may have ended before it had saved all that were due
		if known, ok := w.tail.heads[stream]; ok {
			before = known.position
		}
		if before < head.position && before != head.previous {
			broken = corrupt("record %d of %s does not follow record %d", head.position, stream, before)
		}
		w.tail.heads[stream], w.tail.upTo = head, head.position
	})
	return w.tail.upTo, cmp.Or(err, broken)
}

// saveHeads brings some heads to the file, in the open transaction: as many as that has records, so that no commit takes
// much longer and the tail does not grow faster than it shrinks. Sorted, many of them lie on one page.
func (w *writer) saveHeads() (saved []staged, err error) {
	f := &w.flush
	if len(f.due) == 0 && w.tail.upTo-f.known >= f.every {
		f.upTo = w.tail.upTo
		for stream, head := range w.tail.heads {
			f.due = append(f.due, staged{stream, &head})
		}
		slices.SortFunc(f.due, func(a, b staged) int { return cmp.Compare(a.link.stream, b.link.stream) })
	}
	if len(f.due) == 0 {
		return nil, nil
	}
	saved = f.due[:min(len(f.due), int(w.position-w.tail.upTo))]
	for _, s := range saved {
		*s.link = w.tail.heads[s.name] // it may have moved since
		save := w.statements.saveHead
		save.BindInt64(1, s.position)
		save.BindInt64(2, s.link.stream)
		if err := run(save); err != nil {
			return nil, err
		}
	}
	if len(saved) < len(f.due) {
		return saved, nil
	}
	w.statements.saveKnown.BindInt64(1, f.upTo)
	return saved, run(w.statements.saveKnown)
}

// committed lets the readers know of the heads that a commit has moved, and forgets those that it has saved.
func (w *writer) committed(saved []staged) {
	t, f := w.tail, &w.flush
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range saved {
		delete(t.heads, s.name)
	}
	for _, s := range w.staged {
		t.heads[s.name] = *s.link
	}
	t.upTo = w.position
	if f.due = f.due[len(saved):]; len(saved) > 0 && len(f.due) == 0 {
		f.known, f.due = f.upTo, nil
	}
}
