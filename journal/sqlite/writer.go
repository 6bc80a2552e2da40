package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/latchkey/latchkey/internal/planted"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/batch"
)

const (
	// writerCacheKiB holds the inner pages of the indexes and the leaves that are written to again and again. What is
	// not in it comes from the kernel's cache, so that it need not be large.
	writerCacheKiB = 16 << 10
	// maxHeads streams' heads are remembered by the writer. When there are more it begins anew: a look-up is cheap beside
	// keeping an account of which was used last, with every append.
	maxHeads = 128 << 10
	// busyTimeout is how long SQLite waits for a lock, before the journal fails. Inside this process nobody keeps one,
	// so it only matters when somebody writes to the file with the sqlite3 shell.
	busyTimeout = 5 * time.Second
)

// writer is what the writing goroutine owns.
type writer struct {
	conn       *sqlite.Conn
	statements writerStatements
	heads      map[string]*link       // as of the last staged append
	maxHeads   int                    // how many of them at most, before a transaction
	staged     []staged               // by the open transaction
	claimed    []*journal.IndexChange // by the append that is being staged
	tail       *tail
	flush      flush
	position   int64 // of the last record
	stream     int64 // the highest stream number
	walPages   int   // at most so many pages are in the WAL
	unmoved    bool  // the WAL of the last process is still there, since somebody reads from it
	stopped    chan struct{}
}

// errBehind tells that somebody else has written to the file.
var errBehind = fmt.Errorf("%w: somebody else writes to the file", sqlite.ResultConstraint.ToError())

// errBeforeCommit marks an I/O error that came when nothing of the batch could be durable yet.
var errBeforeCommit = errors.New("before the commit")

func openWriter(path string) (*writer, error) {
	conn, err := connect(path, writerCacheKiB)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn, heads: make(map[string]*link), maxHeads: maxHeads, tail: newTail(), stopped: make(chan struct{})}
	if err := prepareFile(conn); err != nil {
		return nil, closeAfter(conn, err)
	}
	// A commit that failed in the last process may have left pages that the kernel holds for clean and the disk does
	// not have. Moving the whole WAL into the data file now writes and syncs all of it anew, before anything builds on it.
	busy, err := queryNumber(conn, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err != nil {
		return nil, closeAfter(conn, err)
	}
	w.unmoved = busy != 0
	if err := w.statements.prepare(conn); err != nil {
		return nil, closeAfter(conn, err)
	}
	if err := w.openTail(); err != nil {
		return nil, closeAfter(conn, err)
	}
	if err := w.reload(); err != nil {
		return nil, closeAfter(conn, err)
	}
	return w, nil
}

// write is the writer goroutine. It ends when the queue is closed and everything in it was answered.
func (j *Journal) write() {
	w := j.writer
	defer close(w.stopped)
	for {
		items, ok := j.queue.Take(j.wake)
		if !ok {
			break
		}
		early, more := planted.Has(planted.AcknowledgeBeforeFsync), j.queue.More
		if early {
			j.queue.Answer(promised(items))
			more = nothing
		}
		if len(items) > 0 {
			items = j.commit(items, time.Now(), more)
			j.metrics.Answers(items)
		}
		if !early {
			j.queue.Answer(items)
		}
		j.saveSnapshots()
		j.watchWAL()
	}
	for j.saveSnapshots() {
	}
	close(j.checkpoint.due)
}

// promised is what a batch would be answered if nothing could go wrong with it. Only a planted bug says so.
func promised(items []batch.Item) []batch.Item {
	early := slices.Clone(items)
	for i := range early {
		early[i].Result = journal.Result{Version: early[i].Expected + uint64(len(early[i].Records))}
	}
	return early
}

// nothing more is added to a batch.
func nothing(items []batch.Item) []batch.Item { return items }

// commit writes a batch, with more that comes meanwhile, and sets its results. now decides which deadlines have passed. A
// batch that SQLite refuses for what is in it is split until the append that it refuses is alone.
func (j *Journal) commit(items []batch.Item, now time.Time, more func([]batch.Item) []batch.Item) []batch.Item {
	if failure := j.failure.Load(); failure != nil {
		answer(items, *failure)
		return items
	}
	start := time.Now()
	j.committing.Store(&start)
	items, staged, err := j.writer.transact(items, now, more)
	if errors.Is(err, errBehind) { // the writer has read by now what that is
		items, staged, err = j.writer.transact(items, now, nothing)
	}
	j.committing.Store(nil)
	switch {
	case err == nil && staged > 0:
		j.metrics.Commit(staged, time.Since(start))
	case err == nil: // all were refused
	case !refused(err):
		failure := j.fail(err)
		if !errors.Is(err, errBeforeCommit) {
			failure = fmt.Errorf("%w: %w", failure, journal.ErrUnknown)
		}
		answer(items, failure)
	case len(items) == 1:
		j.log.Warn("SQLite refused an append", "stream", items[0].Stream, "append", items[0].ID, "error", err)
		answer(items, fmt.Errorf("%w: %w", journal.ErrInvalid, err))
	default:
		half := len(items) / 2
		j.commit(items[:half], now, nothing)
		j.commit(items[half:], now, nothing)
	}
	return items
}

func answer(items []batch.Item, err error) {
	for i := range items {
		items[i].Result = journal.Result{Err: err}
	}
}

// refused reports whether SQLite objects to the content of a transaction, rather than being unable to write it.
func refused(err error) bool {
	code := sqlite.ErrCode(err).ToPrimary()
	return code == sqlite.ResultConstraint || code == sqlite.ResultTooBig || code == sqlite.ResultMismatch
}

// transact stages every append that may be, those too that come while it does so, and commits. It returns all of them, and
// how many were staged. On an error nothing was committed, and the writer has forgotten what it had staged; an I/O error
// without errBeforeCommit leaves that open.
func (w *writer) transact(items []batch.Item, now time.Time, more func([]batch.Item) []batch.Item) (all []batch.Item, staged int, err error) {
	if err := run(w.statements.begin); err != nil {
		return items, 0, fmt.Errorf("%w: %w", errBeforeCommit, err)
	}
	w.staged = w.staged[:0]
	if len(w.heads) > w.maxHeads {
		clear(w.heads) // only now: nothing is staged that the file does not know
	}
	for i := 0; i < len(items); i++ {
		items[i].Result, err = w.stage(&items[i].Append, now)
		if err != nil {
			return items, 0, w.rollback(err)
		}
		if items[i].Result.Err == nil {
			w.walPages += pagesOf(&items[i].Append)
		}
		if i == len(items)-1 {
			items = more(items)
		}
	}
	if len(w.staged) == 0 {
		return items, 0, run(w.statements.rollback)
	}
	saved, err := w.saveHeads()
	if err != nil {
		return items, 0, w.rollback(err)
	}
	w.walPages += pagesOfCommit + len(saved)
	if err := run(w.statements.commit); err != nil {
		return items, 0, err
	}
	w.committed(saved)
	return items, len(w.staged), nil
}

// rollback undoes a transaction that met err before its commit. What is known of the streams is read anew, because
// something staged was wrong.
func (w *writer) rollback(err error) error {
	if !refused(err) {
		return fmt.Errorf("%w: %w", errBeforeCommit, err)
	}
	if failed := errors.Join(run(w.statements.rollback), w.reload()); failed != nil {
		return fmt.Errorf("%w: %w", errBeforeCommit, failed)
	}
	return err
}

// reload reads the counters and the tail from the file, and forgets the heads.
func (w *writer) reload() (err error) {
	clear(w.heads)
	if w.position, err = w.catchUp(); err != nil {
		return err
	}
	w.stream, err = queryNumber(w.conn, "SELECT coalesce(max(id), 0) FROM streams")
	return err
}
