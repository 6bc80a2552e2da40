package sqlite_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

// benchmarked is an append of n records like those of an open.
func benchmarked(stream, id string, expected uint64, n int) journal.Append {
	a := journal.Append{Stream: stream, Expected: expected, ID: id}
	now := time.Now()
	for range n {
		a.Records = append(a.Records, journal.NewRecord{Type: "TempKeyUsed", Time: now, Data: make([]byte, 200)})
	}
	return a
}

// BenchmarkAppend lets callers append to a stream of their own each, and wait.
func BenchmarkAppend(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			j := open(b, filepath.Join(b.TempDir(), "journal.db"))
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for c := range callers {
				wg.Go(func() {
					stream, answer := fmt.Sprint("lock/", c), make(chan error, 1)
					for version := uint64(0); left.Add(-1) >= 0; version++ {
						j.Submit(benchmarked(stream, stream, version, 1), func(r journal.Result) { answer <- r.Err })
						if err := <-answer; err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			require.NoError(b, j.Close())
		})
	}
}

// BenchmarkOpens makes what an open makes (an append of two records, and one of one), on 1,000 streams that have had 500
// records each. It says what one takes of the CPU and of the disk.
func BenchmarkOpens(b *testing.B) {
	const streams, had = 1000, 500
	for _, callers := range []int{64, 256} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "journal.db")
			j := open(b, path)
			names, versions := make([]string, streams), make([]uint64, streams)
			for range had / 2 {
				appends := make([]journal.Append, streams)
				for s := range streams {
					names[s] = fmt.Sprint("lock/", s+1)
					appends[s] = benchmarked(names[s], "0191b0f0-7b5c-7000-8000-6f1e2d3c4b5a", versions[s], 2)
					versions[s] += 2
				}
				for _, err := range together(b, j, appends) {
					require.NoError(b, err)
				}
			}
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			before := cpuTime(b)
			for c := range callers {
				wg.Go(func() {
					answer := make(chan error, 1)
					for s := c; next.Add(1) <= int64(b.N); s = c + (s-c+callers)%(streams/callers*callers) { // its own streams in turn
						for _, n := range []int{2, 1} {
							a := benchmarked(names[s], "0191b0f0-7b5c-7000-8000-6f1e2d3c4b5a", versions[s], n)
							versions[s] += uint64(n)
							j.Submit(a, func(r journal.Result) { answer <- r.Err })
							if err := <-answer; err != nil {
								b.Error(err)
								return
							}
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
			b.StopTimer()
			require.NoError(b, j.Close())
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkHotStream pipelines appends to one stream.
func BenchmarkHotStream(b *testing.B) {
	j := open(b, filepath.Join(b.TempDir(), "journal.db"))
	window := make(chan struct{}, 256)
	for i := range b.N {
		window <- struct{}{}
		j.Submit(benchmarked("lock/1", "0191b0f0-7b5c-7000-8000-6f1e2d3c4b5a", uint64(i), 1), func(r journal.Result) {
			if r.Err != nil {
				b.Error(r.Err)
			}
			<-window
		})
	}
	require.NoError(b, j.Close()) // answers what is still on its way
}

// BenchmarkRead reads a stream of 100 records that lie among those of others.
func BenchmarkRead(b *testing.B) {
	j := open(b, filepath.Join(b.TempDir(), "journal.db"))
	for version := range uint64(100) {
		var appends []journal.Append
		for s := range 200 {
			appends = append(appends, benchmarked(fmt.Sprint("lock/", s), "command", version, 1))
		}
		for _, err := range together(b, j, appends) {
			require.NoError(b, err)
		}
	}
	b.ResetTimer()
	for i := range b.N {
		records, err := j.Read(b.Context(), fmt.Sprint("lock/", i%200), 0, 1000)
		if err != nil || len(records) != 100 {
			b.Fatal(len(records), err)
		}
	}
	b.StopTimer()
	require.NoError(b, j.Close())
}
