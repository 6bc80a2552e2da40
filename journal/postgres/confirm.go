package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey/latchkey/journal/internal/batch"
)

const (
	// confirmTimeout bounds the look at the heads; whoever waits for it would rather hear that the database is away.
	confirmTimeout = 3 * time.Second
	// maxConfirms are asked for at once. Those that come meanwhile are asked for together, next.
	maxConfirms = 1024
)

// confirmer gathers the questions that come while the one before is being asked.
type confirmer struct {
	mu      sync.Mutex
	waiting []question // guarded by mu
	asking  bool       // a goroutine takes what waits; guarded by mu
}

type question struct {
	stream  string
	version uint64
	done    func(error)
}

// ID implements journal.Journal: the tables were given it when they were made, and take it along in a dump.
func (j *Journal) ID() string { return j.id }

// Shared implements journal.Journal: other nodes append too.
func (j *Journal) Shared() bool { return true }

// Confirm implements journal.Journal. A question that comes while others are under way is asked
// after them, because what they find may be older than it is. There is nothing to cover: whoever knows the version was
// told of it by an append or a read.
func (j *Journal) Confirm(stream string, version uint64, done func(error)) {
	if err := j.use(j.ctx); err != nil {
		go done(err)
		return
	}
	c := &j.confirmer
	c.mu.Lock()
	c.waiting = append(c.waiting, question{stream, version, done})
	start := !c.asking
	c.asking = true
	c.mu.Unlock()
	if !start {
		j.reading.Done() // the goroutine that asks keeps the pool open
		return
	}
	go func() {
		defer j.reading.Done()
		for some := c.take(); len(some) > 0; some = c.take() {
			j.confirm(some)
		}
	}()
}

// take gives up to maxConfirms questions, none when there are none: then the next one starts another goroutine.
func (c *confirmer) take() (some []question) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.waiting), maxConfirms)
	if some = c.waiting[:n:n]; n == len(c.waiting) {
		c.waiting = nil
	} else {
		c.waiting = c.waiting[n:]
	}
	c.asking = n > 0
	return some
}

func (j *Journal) confirm(some []question) {
	streams := make([]string, len(some))
	for i := range some {
		streams[i] = some[i].stream
	}
	ctx, cancel := context.WithTimeout(context.Background(), confirmTimeout)
	defer cancel()
	type head struct {
		Name    string
		Version int64
	}
	start := time.Now()
	heads, err := query(ctx, j, pgx.RowToStructByPos[head], "SELECT name, version FROM streams WHERE name = ANY($1)", streams)
	j.metrics.confirms.Observe(time.Since(start).Seconds())
	versions := make(map[string]uint64, len(heads))
	for _, h := range heads {
		versions[h.Name] = uint64(h.Version)
	}
	for _, q := range some {
		answer := err
		if err == nil {
			answer = batch.Compare(q.stream, versions[q.stream], q.version)
		}
		q.done(answer)
	}
}
