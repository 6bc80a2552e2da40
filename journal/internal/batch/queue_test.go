package batch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/internal/batch"
)

const queued = 4096

func anAppend() journal.Append {
	return journal.Append{Stream: "a", ID: "1", Records: []journal.NewRecord{{Type: "A"}}}
}

// fill puts in as many appends as there is room for.
func fill(q *batch.Queue, answers chan<- journal.Result) {
	for range queued {
		q.Submit(anAppend(), func(r journal.Result) { answers <- r })
	}
}

// takeAll plays the writer until the queue is closed.
func takeAll(q *batch.Queue) (batches []int) {
	for {
		items, ok := q.Take(nil)
		if !ok {
			return batches
		}
		batches = append(batches, len(items))
		q.Answer(items)
	}
}

func TestFullQueueHoldsUntilTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := batch.New()
		answers := make(chan journal.Result, queued)
		fill(q, answers)
		require.Equal(t, queued, q.Depth())

		late := anAppend()
		late.Deadline = time.Now().Add(3 * time.Second)
		start := time.Now()
		refused := make(chan journal.Result, 1)
		q.Submit(late, func(r journal.Result) { refused <- r })
		require.ErrorIs(t, (<-refused).Err, journal.ErrDeadline)
		require.Equal(t, 3*time.Second, time.Since(start))

		require.True(t, q.Close())
		require.False(t, q.Close())
		for _, n := range takeAll(q) {
			require.Equal(t, 512, n)
		}
		q.Wait()
		require.Len(t, answers, queued)
	})
}

func TestFullQueueTakesMoreWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := batch.New()
		answers := make(chan journal.Result, queued+1)
		fill(q, answers)
		in := make(chan struct{})
		go func() {
			q.Submit(anAppend(), func(r journal.Result) { answers <- r })
			close(in)
		}()
		synctest.Wait()
		require.Equal(t, queued, q.Depth())
		items, ok := q.Take(nil)
		require.True(t, ok)
		q.Answer(items)
		<-in
		q.Close()
		takeAll(q)
		q.Wait()
		require.Len(t, answers, queued+1)
	})
}

func TestCloseSendsTheWaitingAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := batch.New()
		answers := make(chan journal.Result, queued)
		fill(q, answers)
		refused := make(chan journal.Result, 1)
		go q.Submit(anAppend(), func(r journal.Result) { refused <- r })
		synctest.Wait()
		q.Close()
		require.ErrorIs(t, (<-refused).Err, journal.ErrClosed)
		takeAll(q)
		q.Wait()
		require.Len(t, answers, queued)
	})
}

func TestBatchEndsAtItsBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := batch.New()
		answers := make(chan journal.Result, 10)
		for range 10 {
			a := anAppend()
			a.Records[0].Data = make([]byte, 400<<10)
			q.Submit(a, func(r journal.Result) { answers <- r })
		}
		q.Close()
		require.Equal(t, []int{3, 3, 3, 1}, takeAll(q))
		q.Wait()
		require.Len(t, answers, 10)
	})
}

func TestABatchGrowsWhileItIsWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := batch.New()
		answers := make(chan int, queued)
		submit := func(from, to int, bytes int) {
			for i := from; i < to; i++ {
				a := anAppend()
				a.Records[0].Data = make([]byte, bytes)
				q.Submit(a, func(journal.Result) { answers <- i })
			}
		}
		submit(0, 2, 0)
		items, ok := q.Take(nil)
		require.True(t, ok)
		require.Len(t, items, 2)
		require.Len(t, q.More(items), 2, "it does not wait")
		submit(2, 5, 0)
		items = q.More(items)
		require.Len(t, items, 5)
		submit(5, 600, 0)
		items = q.More(items)
		require.Len(t, items, 512, "it is full")
		require.Len(t, q.More(items), 512)
		q.Answer(items)

		items, _ = q.Take(nil)
		require.Len(t, items, 600-512)
		submit(600, 605, 400<<10)
		items = q.More(items)
		require.Len(t, items, 600-512+3, "it has its bytes")
		q.Answer(items)
		q.Close()
		require.Equal(t, []int{2}, takeAll(q))
		q.Wait()
		for i := range 605 {
			require.Equal(t, i, <-answers)
		}
	})
}

func TestWakeGivesAnEmptyBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := batch.New()
		wake := make(chan struct{}, 1)
		wake <- struct{}{}
		items, ok := q.Take(wake)
		require.True(t, ok)
		require.Empty(t, items)
		q.Answer(items)
		q.Close()
		require.Empty(t, takeAll(q))
		q.Wait()
	})
}

func TestLazyAppendsWaitForCompany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := batch.New()
		lazy := anAppend()
		lazy.Lazy = true
		none := func(journal.Result) {}
		take := func(during func()) (n int, took time.Duration) {
			start := time.Now()
			go during()
			items, ok := q.Take(nil)
			require.True(t, ok)
			n, took = len(items), time.Since(start)
			q.Answer(items)
			return n, took
		}
		q.Submit(lazy, none)
		n, took := take(func() {})
		require.Equal(t, 1, n)
		require.Equal(t, 5*time.Millisecond, took, "nobody came")

		q.Submit(lazy, none)
		n, took = take(func() {
			<-time.After(time.Millisecond)
			q.Submit(lazy, none)
			<-time.After(time.Millisecond)
			q.Submit(anAppend(), none)
		})
		require.Equal(t, 3, n)
		require.Equal(t, 2*time.Millisecond, took, "it goes with the first that is not lazy")

		q.Submit(lazy, none)
		n, took = take(func() { <-time.After(time.Millisecond); q.Hurry() })
		require.Equal(t, 1, n)
		require.Equal(t, time.Millisecond, took)

		q.Hurry()
		q.Submit(lazy, none)
		_, took = take(func() {})
		require.Zero(t, took, "a hurry that came before the batch was taken counts")

		q.Submit(lazy, none)
		_, took = take(func() { <-time.After(time.Millisecond); q.Close() })
		require.Equal(t, time.Millisecond, took)
		require.Empty(t, takeAll(q))
		q.Wait()
	})
}
