// Package sqlite is the embedded engine of the journal: one SQLite file in WAL mode, written by one goroutine.
//
// Because nobody else writes, the writer knows the head of every stream that is in use and the next position without
// asking SQLite: conflicts cost no statement, positions are gapless by construction, and what a batch costs is its
// INSERTs and one fsync. A commit that fails on I/O is never tried again, since the kernel may have dropped the pages
// and called them clean: the journal fails stop, and the next process recovers from what the disk really holds.
//
// A file is written fast from one end to the other, and slowly here and there. So records are only ever added to the end
// of one table; chain.go tells how those of one stream are found without an index, and tail.go how the ends of the
// streams get into the file.
//
// Goroutines: the writer owns the write connection and the stream heads; the queue calls the callers back; the
// checkpointer moves pages out of the WAL beside the writer; one looks after the files; readers borrow a connection each.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/internal/planted"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/batch"
)

// hungCommit is how long a commit may take before the journal calls itself unhealthy.
const hungCommit = 10 * time.Second

// Options say where the journal is, and who hears of it.
type Options struct {
	// Path is the data file; it is made if it is missing. Its -wal, -shm and .lock lie beside it.
	Path string
	// Logger is slog's default unless it is set.
	Logger *slog.Logger
	// Registerer gets the metrics, unless it is nil.
	Registerer prometheus.Registerer
	// OnFailure is called once, on a goroutine of its own, when the journal fails stop: the process must end.
	OnFailure func(error)
}

func (o *Options) validate() error {
	if o.Path == "" {
		return errors.New("sqlite journal: no path")
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return fmt.Errorf("sqlite journal: %w", err)
	}
	o.Path = path
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.OnFailure == nil {
		o.OnFailure = func(error) {}
	}
	return nil
}

// Journal is a journal.Journal in an SQLite file.
type Journal struct {
	id        string
	log       *slog.Logger
	onFailure func(error)
	metrics   *metrics
	lock      *fileLock
	files     openFiles

	queue      *batch.Queue
	snapshots  *batch.Snapshots
	readers    *readers
	writer     *writer
	checkpoint *checkpointer
	wake       chan struct{}             // something besides appends waits for the writer
	committing atomic.Pointer[time.Time] // since when the writer has been in a commit; nil while it is not
	failure    atomic.Pointer[error]     // why the journal failed stop; nil while it has not
	looked     chan struct{}             // closed when nobody looks after the files any more
}

// Open opens the journal for this process alone, and recovers what the last one left.
func Open(o Options) (_ *Journal, err error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	lock, err := lockFile(o.Path)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		id: place(o.Path), log: o.Logger, onFailure: o.OnFailure, lock: lock,
		queue: batch.New(), snapshots: batch.NewSnapshots(), wake: make(chan struct{}, 1),
		looked: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			j.queue.Close()
			j.queue.Take(nil)
			err = errors.Join(fmt.Errorf("sqlite journal %s: %w", o.Path, err), j.release())
		}
	}()
	if err := makeFile(o.Path); err != nil {
		return nil, err
	}
	if j.writer, err = openWriter(o.Path); err != nil {
		return nil, err
	}
	if j.checkpoint, err = openCheckpointer(o.Path); err != nil {
		return nil, err
	}
	if j.readers, err = openReaders(o.Path); err != nil {
		return nil, err
	}
	if j.files, err = filesAt(o.Path); err != nil {
		return nil, err
	}
	if j.metrics, err = newMetrics(o.Registerer, j.queue); err != nil {
		return nil, err
	}
	size, err := queryNumber(j.writer.conn, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
	if err != nil {
		return nil, err
	}
	j.log.Info("journal opened", "path", o.Path, "position", j.writer.position, "bytes", size)
	if j.writer.unmoved {
		j.log.Warn("the WAL could not be moved into the file at the start, because another program reads it, such as a sqlite3 shell or a backup; "+
			"until that ends, a crash of the machine may cost what a failed commit of the process before had left there", "path", o.Path)
	}
	go j.checkpointBeside()
	go j.write()
	go j.lookAfterFiles()
	return j, nil
}

// place is where a file is, on which machine.
func place(path string) string {
	host, _ := os.Hostname() // without a name, all such machines look like one
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	return fmt.Sprintf("sqlite:%s:%s", host, path)
}

// Submit implements journal.Journal.
func (j *Journal) Submit(a journal.Append, done func(journal.Result)) {
	if planted.Has(planted.NoCompareAndSet) {
		a.Expected, _, _ = j.Head(context.Background(), a.Stream)
	}
	j.queue.Submit(a, done)
}

// Hurry implements journal.Journal.
func (j *Journal) Hurry() { j.queue.Hurry() }

// ID implements journal.Journal. A copy of the file is another journal, so what tells them apart is where the file is.
func (j *Journal) ID() string { return j.id }

// Shared implements journal.Journal: the file is locked, so nobody else appends to it.
func (j *Journal) Shared() bool { return false }

// Healthy implements journal.Journal. A disk that hangs does not return errors, but it does not take appends either.
func (j *Journal) Healthy(ctx context.Context) error {
	if err := j.usable(ctx); err != nil {
		return err
	}
	if start := j.committing.Load(); start != nil && time.Since(*start) > hungCommit {
		return fmt.Errorf("sqlite journal: a commit has been waiting for the disk for %v", time.Since(*start).Round(time.Second))
	}
	return j.look()
}

func (j *Journal) usable(ctx context.Context) error {
	if failure := j.failure.Load(); failure != nil {
		return *failure
	}
	if j.queue.Closed() {
		return journal.ErrClosed
	}
	return ctx.Err()
}

// fail stops the journal for good. It returns the error that every call gets from now on.
func (j *Journal) fail(cause error) error {
	failure := fmt.Errorf("%w: %w", journal.ErrFailed, cause)
	if !j.failure.CompareAndSwap(nil, &failure) {
		return *j.failure.Load()
	}
	j.metrics.failures.Inc()
	j.log.Error("the journal failed, this process must end", "error", cause)
	go j.onFailure(failure)
	return failure
}

// nudge wakes the writer when it has no appends to write.
func (j *Journal) nudge() {
	select {
	case j.wake <- struct{}{}:
	default: // it will wake up anyway
	}
}

// Close implements journal.Journal. After a failure SQLite is left alone, without even a last checkpoint: its files
// stay as they are for the next process, and the lock on them stays until this one ends.
func (j *Journal) Close() error {
	if !j.queue.Close() {
		return journal.ErrClosed
	}
	j.queue.Wait()
	<-j.writer.stopped
	<-j.checkpoint.stopped
	<-j.looked
	j.metrics.Unregister()
	j.readers.drain()
	if failure := j.failure.Load(); failure != nil {
		return *failure
	}
	return j.release()
}

// release closes whatever is open. The write connection is the last, so that it is the one to fold the WAL up.
func (j *Journal) release() error {
	var errs []error
	if j.readers != nil {
		errs = append(errs, j.readers.close())
	}
	if j.checkpoint != nil {
		errs = append(errs, j.checkpoint.conn.Close())
	}
	if j.writer != nil {
		errs = append(errs, j.writer.conn.Close())
	}
	return errors.Join(append(errs, j.lock.release())...)
}
