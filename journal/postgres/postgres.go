// Package postgres is the engine of the journal that a cluster shares: a PostgreSQL database, written by every node.
//
// Each node has one writer, which stores a batch with one autocommit statement: it moves the heads of the streams that
// are where the appends expect them, locks the positions, and inserts the records of just those streams. The rest of the
// batch was in conflict, and nobody else in the batch notices. The lock is held until the commit, so positions come in
// the order of the commits, without gaps, whoever writes.
//
// A statement whose answer was lost is run again. It may have happened, may be happening, or may happen yet, in the hands
// of a server process that has not noticed that we are gone; but of two statements that want to move a head from the
// same version only one can, so that running it again decides. If it is refused now, the records themselves tell whether
// it was the first one that moved the head. Nobody is told of what they say before the standby has it, see cover.go.
//
// Goroutines: the writer owns a connection and stores the batches; the queue calls the callers back; the saver stores
// snapshots; readers borrow a connection from a pool, and so does the goroutine that looks whether heads have moved.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/internal/planted"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/batch"
)

// defaultReadConnections is enough for the reads of a node: a lock is read once in its life on a node.
const defaultReadConnections = 8

// Options say where the journal is, and who hears of it.
type Options struct {
	// URL is postgres://user:password@host:port/database, with more hosts and parameters as libpq knows them. Whatever
	// it says, only a server that takes writes is used. The database must exist; its tables are made here.
	URL string
	// Existing makes no tables: a database without a journal is an error.
	Existing bool
	// ReadConnections bounds the pool for reading; there is one more connection, for writing. Without it pool_max_conns
	// of the URL counts, else 8.
	ReadConnections int
	// Logger is slog's default unless it is set.
	Logger *slog.Logger
	// Registerer gets the metrics, unless it is nil.
	Registerer prometheus.Registerer
}

func (o *Options) validate() error {
	if o.URL == "" {
		return errors.New("postgres journal: no URL")
	}
	if o.ReadConnections < 0 {
		return fmt.Errorf("postgres journal: %d read connections", o.ReadConnections)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	return nil
}

// Journal is a journal.Journal in a PostgreSQL database.
type Journal struct {
	id      string
	log     *slog.Logger
	metrics *metrics
	queue   *batch.Queue
	writer  *writer
	pool    *pgxpool.Pool
	saver   *saver

	confirmer confirmer
	covered   covered

	ctx     context.Context // of the queries; ends when the journal is closed
	cancel  context.CancelFunc
	trouble atomic.Pointer[error] // why appends wait, or nil while they do not
	reading sync.WaitGroup        // added to under mu, while not closed
	mu      sync.Mutex
	closed  bool
}

// Open connects to the database and makes or migrates its tables. ctx bounds that, and is not kept.
func Open(ctx context.Context, o Options) (_ *Journal, err error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	config, err := parse(o)
	if err != nil {
		return nil, err
	}
	about, err := migrate(ctx, config.ConnConfig, o.Existing)
	if err != nil {
		return nil, fmt.Errorf("postgres journal: %w", err)
	}
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, fmt.Errorf("postgres journal: %w", err)
	}
	j := &Journal{id: about.id, log: o.Logger, queue: batch.New(), pool: pool, saver: newSaver()}
	j.ctx, j.cancel = context.WithCancel(context.Background())
	j.writer = newWriter(j, writing(config.ConnConfig))
	if j.metrics, err = newMetrics(o.Registerer, j.queue); err != nil {
		j.queue.Close()
		j.queue.Take(nil)
		j.cancel()
		pool.Close()
		return nil, err
	}
	j.log.Info("journal opened", "id", j.id, "server", about.server, "database", config.ConnConfig.Database, "position", about.position)
	if hosts := inTheClear(config.ConnConfig); len(hosts) > 0 {
		j.log.Warn("whoever is on the way to PostgreSQL may read along and make changes, since connections without TLS are allowed: "+
			"put sslmode=verify-full into --journal-url", "hosts", hosts)
	}
	go j.writer.run()
	go j.save()
	if err := j.cover(ctx, anything); err != nil { // nothing could be read either
		return nil, errors.Join(err, j.Close())
	}
	return j, nil
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

// Close implements journal.Journal. When the database is away, what was submitted is given up after a grace.
func (j *Journal) Close() error {
	if !j.queue.Close() {
		return journal.ErrClosed
	}
	close(j.writer.closing)
	j.queue.Wait()
	<-j.writer.stopped
	close(j.saver.closing)
	<-j.saver.stopped

	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.cancel()
	j.reading.Wait()
	j.pool.Close()
	j.metrics.Unregister()
	return nil
}

func (j *Journal) usable(ctx context.Context) error {
	if j.queue.Closed() {
		return journal.ErrClosed
	}
	return ctx.Err()
}
