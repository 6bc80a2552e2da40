package postgres_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
)

// benchmarked is an append of one record like those of an open.
func benchmarked(stream string, expected uint64) journal.Append {
	return journal.Append{
		Stream: stream, Expected: expected, ID: "0191b0f0-7b5c-7000-8000-6f1e2d3c4b5a",
		Records: []journal.NewRecord{{Type: "TempKeyUsed", Time: time.Now(), Data: make([]byte, 200)}},
	}
}

// BenchmarkAppend lets callers append to a stream of their own each, and wait.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			j := open(b, pgtest.Database(b))
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for c := range callers {
				wg.Go(func() {
					stream, answer := fmt.Sprint("lock/", c), make(chan error, 1)
					for version := uint64(0); left.Add(-1) >= 0; version++ {
						j.Submit(benchmarked(stream, version), func(r journal.Result) { answer <- r.Err })
						if err := <-answer; err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkHotStream lets callers append to one stream, each to the version that the one before has staged.
func BenchmarkHotStream(b *testing.B) {
	const callers = 256
	j := open(b, pgtest.Database(b))
	var mu sync.Mutex
	var staged uint64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			answer := make(chan error, 1)
			for {
				mu.Lock()
				if staged == uint64(b.N) {
					mu.Unlock()
					return
				}
				j.Submit(benchmarked("hot", staged), func(r journal.Result) { answer <- r.Err })
				staged++
				mu.Unlock()
				if err := <-answer; err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkRead reads a stream of 100 records that lie among those of others.
func BenchmarkRead(b *testing.B) {
	j := open(b, pgtest.Database(b))
	for version := range uint64(100) {
		answers := make(chan error, 200)
		for s := range 200 {
			j.Submit(benchmarked(fmt.Sprint("lock/", s), version), func(r journal.Result) { answers <- r.Err })
		}
		for range cap(answers) {
			require.NoError(b, <-answers)
		}
	}
	b.ResetTimer()
	for i := range b.N {
		records, err := j.Read(b.Context(), fmt.Sprint("lock/", i%200), 0, 1000)
		if err != nil || len(records) != 100 {
			b.Fatal(len(records), err)
		}
	}
}
