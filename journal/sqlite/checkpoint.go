package sqlite

import (
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/latchkey/latchkey/journal"
)

const (
	pageSize = 4096
	// checkpointPages in the WAL (16 MiB) make a checkpoint due. Larger is cheaper, since a page that was written
	// often is moved once; smaller starts faster after a crash.
	checkpointPages = 4096
	// The last step waits for the readers that began before it, so shortly that appends do not mind. When that has not
	// helped for so long that the WAL has maxWALPages (64 MiB), it waits for as long as it takes a reader of ours to end, which an
	// open can bear. Other programs read for as long as they like, such as a backup: the WAL grows until they end.
	readersPatience = 10 * time.Millisecond
	longPatience    = 100 * time.Millisecond
	maxWALPages     = 4 * checkpointPages
	// retryPages more in the WAL, and a last step that was in vain is tried again.
	retryPages = checkpointPages / 4
	// finishPages or fewer are left to the writer, which has to do the last step; a second pass catches up before that.
	finishPages = 256
	maxPasses   = 3

	checkpointerCacheKiB = 256
)

// checkpointer moves pages from the WAL into the data file while the writer goes on. The WAL begins anew only when all
// of it has been moved, which a busy writer would never let happen: so once nearly all is moved, the writer itself moves
// the few pages that it has added meanwhile, between two batches. That is the only time that appends wait for.
type checkpointer struct {
	conn    *sqlite.Conn
	due     chan struct{}
	running bool        // of the writer: it asked for a checkpoint and has not finished it
	grows   bool        // of the writer: the WAL is larger than it should be, and the log has it
	nearly  atomic.Bool // the writer's turn
	stopped chan struct{}
}

func openCheckpointer(path string) (*checkpointer, error) {
	conn, err := connect(path, checkpointerCacheKiB)
	if err != nil {
		return nil, err
	}
	return &checkpointer{conn: conn, due: make(chan struct{}, 1), stopped: make(chan struct{})}, nil
}

// checkpointBeside is the checkpointer's goroutine.
func (j *Journal) checkpointBeside() {
	defer close(j.checkpoint.stopped)
	for range j.checkpoint.due {
		for range maxPasses {
			if j.failure.Load() != nil {
				break
			}
			pass, err := j.checkpoint.conn.Prepare("PRAGMA wal_checkpoint(PASSIVE)")
			if err != nil {
				_ = j.fail(err) // it is kept, and every call returns it
				break
			}
			inWAL, moved, err := checkpoint(pass)
			if err != nil {
				_ = j.fail(err) // it is kept, and every call returns it
				break
			}
			if inWAL-moved <= finishPages {
				break
			}
		}
		j.checkpoint.nearly.Store(true)
		j.nudge()
	}
}

// checkpoint runs one of the checkpoint statements. A checkpoint that something is in the way of is no error.
func checkpoint(pass *sqlite.Stmt) (inWAL, moved int, err error) {
	if _, err := pass.Step(); err != nil {
		return 0, 0, err
	}
	inWAL, moved = pass.ColumnInt(1), pass.ColumnInt(2)
	return inWAL, moved, pass.Reset()
}

// watchWAL is the writer's part, after every batch.
func (j *Journal) watchWAL() {
	w, c := j.writer, j.checkpoint
	if j.failure.Load() != nil {
		return
	}
	if c.nearly.CompareAndSwap(true, false) {
		patience := readersPatience
		if w.walPages > maxWALPages {
			patience = longPatience
		}
		w.conn.SetBusyTimeout(patience)
		inWAL, moved, err := checkpoint(w.statements.restart)
		w.conn.SetBusyTimeout(busyTimeout)
		if err != nil {
			_ = j.fail(err) // it is kept, and every call returns it
			return
		}
		if w.walPages = 0; moved < inWAL {
			w.walPages = checkpointPages - retryPages
		}
		c.running = false
		j.tellOfWAL(inWAL, moved)
	}
	if w.walPages < checkpointPages || c.running {
		return
	}
	inWAL, _, err := checkpoint(w.statements.sizeOfWAL) // walPages is a guess on the high side
	if err != nil {
		_ = j.fail(err) // it is kept, and every call returns it
		return
	}
	if w.walPages = inWAL; inWAL >= checkpointPages {
		c.running = true
		c.due <- struct{}{}
	}
}

// tellOfWAL tells the operator of a WAL that grows, and when it does not any more.
func (j *Journal) tellOfWAL(inWAL, moved int) {
	j.metrics.walPages.Set(float64(inWAL))
	grows := moved < inWAL && inWAL > maxWALPages
	switch c := j.checkpoint; {
	case grows && !c.grows:
		j.log.Warn("the WAL grows and fills the disk for as long as another program reads the journal, such as a sqlite3 shell or a backup; "+
			"end the program if it has been forgotten", "bytes", inWAL*pageSize)
	case !grows && c.grows:
		j.log.Info("the WAL can begin anew")
	}
	j.checkpoint.grows = grows
}

// pagesOfCommit are those that nearly every transaction writes: the ends of the tables.
const pagesOfCommit = 4

// pagesOf says how many pages an append makes a transaction write, at most (but for rare splits of inner pages).
func pagesOf(a *journal.Append) int { return 1 + len(a.Index) + a.Size()/(pageSize/2) }
