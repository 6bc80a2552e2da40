// Package batch is the group commit that the engines share: a bounded queue of appends, from which one writer takes
// whatever has gathered while it was busy with the batch before. An append that somebody waits for never lingers to make
// a batch larger: under load batches grow by themselves, and a lone one goes at once. Lazy appends, which nobody waits
// for, wait a little for company.
//
// Goroutines: any number submit, one (the engine's writer) takes, and one of the queue's own calls the appends' done
// functions, so that a slow caller does not hold up the next commit.
package batch

import (
	"runtime"
	"sync"
	"time"

	"github.com/latchkey/latchkey/journal"
)

const (
	// maxQueued appends wait for the writer. Whoever comes later waits in Submit.
	maxQueued = 4096
	// A batch is full when it has maxAppends appends or has reached maxBytes.
	maxAppends = 512
	maxBytes   = 1 << 20
	// linger is the longest that a batch of lazy appends waits for one that is not.
	linger = 5 * time.Millisecond
	// maxYields is how often a batch lets others go first, as long as that makes it larger.
	maxYields = 8
	// inFlight batches: one is written while the one before is being answered.
	inFlight = 2
)

// Item is an append on its way. The writer sets Result before it hands the batch to Answer.
type Item struct {
	journal.Append
	Result journal.Result
	done   func(journal.Result)
}

// Queue holds the appends that wait for the writer.
type Queue struct {
	items   chan Item
	hurry   chan struct{}
	closing chan struct{}
	answers chan []Item
	free    chan []Item   // the batches that are not in flight
	idle    chan struct{} // closed when everything was answered
	bytes   int           // in the batch that was taken last; the writer's
	yields  int           // that it still may have; the writer's

	once   sync.Once
	mu     sync.RWMutex // held for reading while an append is put in
	closed bool
}

// New starts an empty queue. It ends with Close, after the writer has taken all.
func New() *Queue {
	q := &Queue{
		items:   make(chan Item, maxQueued),
		hurry:   make(chan struct{}, 1),
		closing: make(chan struct{}),
		answers: make(chan []Item, inFlight),
		free:    make(chan []Item, inFlight),
		idle:    make(chan struct{}),
	}
	for range inFlight {
		q.free <- nil
	}
	go q.answer()
	return q
}

// Submit puts an append into the queue, as journal.Journal says.
func (q *Queue) Submit(a journal.Append, done func(journal.Result)) {
	if err := a.Validate(); err != nil {
		refuse(done, err)
		return
	}
	if err := q.put(Item{Append: a, done: done}); err != nil {
		refuse(done, err)
	}
}

func (q *Queue) put(item Item) error {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		return journal.ErrClosed
	}
	select {
	case q.items <- item:
		return nil
	default:
	}
	var expired <-chan time.Time // never, without a deadline
	if !item.Deadline.IsZero() {
		timer := time.NewTimer(time.Until(item.Deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case q.items <- item:
		return nil
	case <-expired:
		return journal.ErrDeadline
	case <-q.closing:
		return journal.ErrClosed
	}
}

// refuse answers an append that never got into the queue. The caller may hold a lock that its done function takes,
// so even this answer comes on another goroutine.
func refuse(done func(journal.Result), err error) {
	go done(journal.Result{Err: err})
}

// Take waits for appends, or for a value from wake (then the batch is empty). ok is false when the queue is closed and
// all were taken. Every batch, empty or not, must go back through Answer.
func (q *Queue) Take(wake <-chan struct{}) (batch []Item, ok bool) {
	batch = (<-q.free)[:0]
	q.bytes, q.yields = 0, maxYields
	select {
	case item, open := <-q.items:
		if !open {
			close(q.answers)
			return nil, false
		}
		batch = q.add(batch, item)
	case <-wake:
		return batch, true
	}
	lazy := batch[0].Lazy
	var late *time.Timer
	for q.room(batch) {
		item, open, more := q.next(lazy, &late)
		if !more || !open {
			break
		}
		lazy = lazy && item.Lazy
		batch = q.add(batch, item)
	}
	if late != nil {
		late.Stop()
	}
	return batch, true
}

// next takes what waits. A batch of lazy appends also waits for what comes, until it is late or somebody hurries; late is set
// when it begins to wait.
func (q *Queue) next(lazy bool, late **time.Timer) (item Item, open, more bool) {
	if item, open, more = q.poll(); more || !lazy {
		return item, open, more
	}
	if *late == nil {
		*late = time.NewTimer(linger)
	}
	select {
	case item, open = <-q.items:
		return item, open, true
	case <-(*late).C:
	case <-q.hurry:
	case <-q.closing:
	}
	return item, true, false
}

// More adds to the batch that was taken last what has come since, as far as there is room. Before it says that nothing has, it
// lets those go first who can run: where the processor is what everybody waits for they are about to submit, and fewer commits
// are paid for. An engine asks for more before each commit, until there is nothing.
func (q *Queue) More(batch []Item) []Item {
	if len(q.items) == 0 && q.yields > 0 {
		q.yields--
		runtime.Gosched()
	}
	for q.room(batch) {
		item, open, more := q.poll()
		if !more || !open {
			break
		}
		batch = q.add(batch, item)
	}
	return batch
}

func (q *Queue) room(batch []Item) bool { return len(batch) < maxAppends && q.bytes < maxBytes }

func (q *Queue) add(batch []Item, item Item) []Item {
	q.bytes += item.Size()
	return append(batch, item)
}

func (q *Queue) poll() (item Item, open, more bool) {
	select {
	case item, open = <-q.items:
		return item, open, true
	default:
		return item, true, false
	}
}

// Hurry ends the waiting of lazy appends, of the batch that is being taken or of the next one.
func (q *Queue) Hurry() {
	select {
	case q.hurry <- struct{}{}:
	default: // it is known
	}
}

// Answer has the results of a batch handed to their callers, in order.
func (q *Queue) Answer(batch []Item) { q.answers <- batch }

func (q *Queue) answer() {
	defer close(q.idle)
	for batch := range q.answers {
		for i := range batch {
			batch[i].done(batch[i].Result)
		}
		clear(batch)
		q.free <- batch
	}
}

// Depth returns how many appends wait for the writer.
func (q *Queue) Depth() int { return len(q.items) }

// Close refuses later appends; what is in the queue is still taken and answered. It returns false if it was closed before.
func (q *Queue) Close() (first bool) {
	q.once.Do(func() {
		first = true
		close(q.closing)
		q.mu.Lock() // waits for those who are inside put: closing has sent them away
		q.closed = true
		q.mu.Unlock()
		close(q.items)
	})
	return first
}

// Closed reports whether Close was called.
func (q *Queue) Closed() bool {
	select {
	case <-q.closing:
		return true
	default:
		return false
	}
}

// Wait returns when everything that was ever submitted has been answered. Only after Close.
func (q *Queue) Wait() { <-q.idle }
