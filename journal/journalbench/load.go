package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/sqlite"
)

// payload is about as long as the JSON of a used key.
var payload = []byte(`{"key":"5f0c6c39-5b5f-4e9b-9d1b-0c7f6f0f6d11","request":"0191b0f0-7b5c-7000-8000-6f1e2d3c4b5a",` +
	`"by":"guest","at":"2026-05-01T10:00:00.123Z","deadline":"2026-05-01T10:00:10.123Z","usedCount":17}`)

// appendOf is an append of n records, as an open makes them.
func appendOf(stream string, expected uint64, n int) journal.Append {
	a := journal.Append{Stream: stream, Expected: expected, ID: fmt.Sprintf("0191b0f0-7b5c-7000-8000-%012x", expected)}
	now := time.Now()
	for range n {
		a.Records = append(a.Records, journal.NewRecord{Type: "TempKeyUsed", Time: now, Data: payload})
	}
	return a
}

// sizeOf is what a caller gave, without what the engine makes of it.
func sizeOf(a journal.Append) int64 {
	size := len(a.ID)
	for _, r := range a.Records {
		size += len(r.Type) + len(r.Data)
	}
	return int64(size)
}

// result is what came of driving something for a while.
type result struct {
	done     int
	perSec   float64
	p50, p99 time.Duration
	cpu      time.Duration // of this process, a call
}

// drive lets callers call one again and again, each waiting for its answer, until the round is over.
func drive(callers int, round time.Duration, one func(caller int) error) (result, error) {
	latencies := make([][]time.Duration, callers)
	errs := make([]error, callers)
	start, cpu := time.Now(), cpuTime()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for before := time.Now(); before.Sub(start) < round; {
				if errs[c] = one(c); errs[c] != nil {
					return
				}
				after := time.Now()
				latencies[c] = append(latencies[c], after.Sub(before))
				before = after
			}
		})
	}
	wg.Wait()
	took, cpu := time.Since(start), cpuTime()-cpu
	for _, err := range errs {
		if err != nil {
			return result{}, err
		}
	}
	all := slices.Concat(latencies...)
	slices.Sort(all)
	n := len(all)
	return result{
		done: n, perSec: float64(n) / took.Seconds(), p50: all[n/2], p99: all[n*99/100], cpu: cpu / time.Duration(n),
	}, nil
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// median is the result in the middle by what by says.
func median(results []result, by func(result) float64) float64 {
	var values []float64
	for _, r := range results {
		values = append(values, by(r))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func perSec(r result) float64 { return r.perSec }
func p50(r result) float64    { return float64(r.p50) }

// submitter is a journal as far as appending goes.
type submitter interface {
	Submit(a journal.Append, done func(journal.Result))
	Close() error
}

// appenders is one caller per stream, which appends a record and waits.
type appenders struct {
	to       submitter
	versions []uint64
	streams  []string
}

func newAppenders(to submitter, n int) *appenders {
	a := &appenders{to: to, versions: make([]uint64, n)}
	for i := range n {
		a.streams = append(a.streams, fmt.Sprintf("lock/%d", i+1))
	}
	return a
}

func (a *appenders) one(caller int) error {
	if err := wait(a.to, appendOf(a.streams[caller], a.versions[caller], 1)); err != nil {
		return err
	}
	a.versions[caller]++
	return nil
}

// wait appends and waits for the answer.
func wait(to submitter, a journal.Append) error {
	answer := make(chan error, 1)
	to.Submit(a, func(r journal.Result) { answer <- r.Err })
	return <-answer
}

// hot is one stream on which everybody appends at once, each to the version that the one before has staged.
type hot struct {
	to     submitter
	mu     sync.Mutex
	staged uint64
}

func (h *hot) one(int) error {
	answer := make(chan error, 1)
	h.mu.Lock()
	a := appendOf("lock/1", h.staged, 1)
	h.staged++
	h.to.Submit(a, func(r journal.Result) { answer <- r.Err })
	h.mu.Unlock()
	return <-answer
}

func openJournal(path string) (*sqlite.Journal, error) {
	return sqlite.Open(sqlite.Options{Path: path})
}

// takeTurns drives each of several things for a round, and so on, so that a slow moment of the machine hits them all.
func takeTurns(o options, callers []int, ones ...func(int) error) ([][]result, error) {
	results := make([][]result, len(ones))
	for range o.rounds + 1 {
		for i, one := range ones {
			r, err := drive(callers[i], o.round, one)
			if err != nil {
				return nil, err
			}
			results[i] = append(results[i], r)
		}
	}
	for i := range results {
		results[i] = results[i][1:] // the first round warms up
	}
	return results, nil
}

var background = context.Background()
