package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/journal"
)

const (
	// closeGrace is how long Close waits for a database that is away.
	closeGrace = 2 * time.Second
	// resolveFor is how long an append without a deadline may stay in doubt.
	resolveFor = 30 * time.Second
	// staleAfter is how long a connection may be idle before it is not trusted blindly.
	staleAfter = time.Second
	// maxClaimRaces is how often a statement that lost a race for a claim is tried again as a whole.
	maxClaimRaces = 3
)

// errLost is why an append is in doubt when the statement after it did not fail.
var errLost = errors.New("the answer was lost")

// writer is what the writing goroutine owns.
type writer struct {
	*Journal
	config  *pgx.ConnConfig
	conn    *pgx.Conn // nil: none, or none that is of use
	used    time.Time // when it last answered
	delay   backoff
	closing chan struct{}
	giveUp  time.Time // when the patience of Close ends; zero while nobody has closed the journal
	failing error     // why the last statement failed; nil after one that did not
	stopped chan struct{}
}

func newWriter(j *Journal, config *pgx.ConnConfig) *writer {
	return &writer{Journal: j, config: config, closing: make(chan struct{}), stopped: make(chan struct{})}
}

// run is the writer goroutine. It ends when the queue is closed and everything in it was answered.
func (w *writer) run() {
	defer close(w.stopped)
	var all []pending
	var left []*pending
	for {
		items, ok := w.queue.Take(nil)
		if !ok {
			break
		}
		for n := 0; n < len(items); {
			n, items = len(items), w.queue.More(items)
		}
		all, left = all[:0], left[:0]
		for i := range items {
			all = append(all, pending{Item: &items[i]})
		}
		for i := range all {
			left = append(left, &all[i])
		}
		w.settle(left)
		w.trouble.Store(nil) // nothing is waiting; whether the next one would get through Healthy finds out
		w.metrics.Answers(items)
		w.queue.Answer(items)
	}
	w.disconnect()
}

// settle runs statements until every append has its answer: usually one statement.
func (w *writer) settle(all []*pending) {
	known := &knowledge{heads: map[string]uint64{}, taken: map[place]string{}}
	since, claimRaces := time.Now(), 0
	for left := all; ; {
		if left = w.unanswered(left, since); len(left) == 0 {
			return
		}
		p := planOf(left, known)
		if len(p.chains) == 0 {
			continue
		}
		err := w.store(p, known)
		switch {
		case err == nil:
			w.delay = backoff{}
		case !poisoned(err):
			w.again(err, p)
		case claimed(err) && claimRaces < maxClaimRaces:
			claimRaces++
		case size(p.chains) == 1:
			only := p.chains[0].links[0]
			w.log.Warn("PostgreSQL refused an append", "stream", only.Stream, "append", only.ID, "error", err)
			only.fail(fmt.Errorf("%w: %w", journal.ErrInvalid, err))
		default:
			w.metrics.splits.Inc()
			half := len(left) / 2
			w.settle(left[:half])
			w.settle(left[half:])
			return
		}
	}
}

// unanswered leaves out the appends that have their answer, and those whose time is over.
func (w *writer) unanswered(all []*pending, since time.Time) (left []*pending) {
	now := time.Now()
	givenUp := w.givenUp(now)
	for _, a := range all {
		late := !a.Deadline.IsZero() && !now.Before(a.Deadline)
		switch {
		case a.answered:
		case a.doubt && (givenUp || late || now.Sub(since) > resolveFor):
			w.metrics.resolved.WithLabelValues("unknown").Inc()
			a.fail(fmt.Errorf("%w: %w", journal.ErrUnknown, cmp.Or(w.failing, errLost)))
		case a.doubt:
			left = append(left, a)
		case late:
			a.fail(journal.ErrDeadline)
		case givenUp:
			a.fail(fmt.Errorf("%w: %w", journal.ErrClosed, w.failing))
		default:
			left = append(left, a)
		}
	}
	return left
}

// store runs a plan, and looks into what was refused. On an error the plan may be tried again.
func (w *writer) store(p *plan, known *knowledge) error {
	if err := w.connect(); err != nil {
		return &notSent{err}
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	start := time.Now()
	refused, last, err := p.run(ctx, w.conn, known)
	if err != nil {
		return hinted(ctx, err)
	}
	w.covered.raise(last)
	w.used = time.Now()
	if stored := size(p.chains) - size(refused); stored > 0 {
		w.metrics.Commit(stored, time.Since(start))
		w.countDoubts(p.chains)
	}
	if len(refused) > 0 {
		if err := w.lookInto(ctx, refused, known); err != nil {
			return &notSent{hinted(ctx, err)} // these questions change nothing
		}
	}
	if w.failing != nil {
		w.failing = nil
		w.trouble.Store(nil)
		w.log.Info("PostgreSQL takes appends again")
	}
	return nil
}

// countDoubts counts the appends in doubt that had not happened, and have now.
func (w *writer) countDoubts(chains []*chain) {
	for _, c := range chains {
		for _, a := range c.links {
			if a.doubt && a.answered {
				w.metrics.resolved.WithLabelValues("stored").Inc()
			}
		}
	}
}

// connect makes sure that there is a connection. One that nobody has used for a while is tried before anything is
// entrusted to it: it may have broken long ago.
func (w *writer) connect() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if w.conn != nil && !w.conn.IsClosed() && (time.Since(w.used) < staleAfter || w.conn.Ping(ctx) == nil) {
		return nil
	}
	w.disconnect()
	conn, err := pgx.ConnectConfig(ctx, w.config)
	if err != nil {
		return err
	}
	w.conn, w.used = conn, time.Now()
	w.metrics.reconnects.Inc()
	return nil
}

// disconnect gives the connection up, and does not wait for a server that does not answer.
func (w *writer) disconnect() {
	if w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = w.conn.Close(ctx) // it is of no use, whatever it says
	w.conn = nil
}

// again prepares for another try after an error that has to do with the database, rather than with what is in the plan.
func (w *writer) again(err error, p *plan) {
	if !harmless(err) {
		for _, c := range p.chains {
			for _, a := range c.links {
				a.doubt = true
			}
		}
	}
	if w.failing == nil {
		w.log.Warn("PostgreSQL does not take appends, trying again", "error", err)
	}
	w.failing = err
	w.trouble.Store(&err)
	w.metrics.retries.Inc()
	if disconnected(err) {
		w.disconnect()
	}
	<-time.After(w.delay.next())
}

// givenUp tells whether the journal was closed, and the database has been away for too long since.
func (w *writer) givenUp(now time.Time) bool {
	select {
	case <-w.closing:
	default:
		return false
	}
	if w.giveUp.IsZero() {
		w.giveUp = now.Add(closeGrace)
	}
	return w.failing != nil && now.After(w.giveUp)
}
