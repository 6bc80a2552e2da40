package workers_test

import (
	"bytes"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/internal/workers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// More work than workers ever wait for is all done, at the same time, and nobody is left when the pool is stopped.
func TestAllWorkIsDone(t *testing.T) {
	t.Parallel()
	const crowd = 1000
	stop := make(chan struct{})
	defer close(stop)
	var together, done sync.WaitGroup
	pool := workers.New(func(*int) {
		together.Done()
		together.Wait()
		done.Done()
	}, stop)
	for range 3 {
		together.Add(crowd)
		done.Add(crowd)
		for range crowd {
			pool.Run(new(int))
		}
		done.Wait()
	}
}

func TestOneAfterTheOther(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	defer close(stop)
	got := make(chan int)
	pool := workers.New(func(n int) { got <- n }, stop)
	for n := range 100 {
		pool.Run(n)
		require.Equal(t, n, <-got)
	}
}

// In a burst of quick work a worker that is done takes the next of it, so that few are woken. What takes long holds up nothing.
func TestABurstSharesItsWorkers(t *testing.T) {
	t.Parallel()
	const burst = 10_000
	stop := make(chan struct{})
	defer close(stop)
	var names sync.Map
	var done sync.WaitGroup
	done.Add(burst)
	gate := make(chan struct{})
	pool := workers.New(func(n int) {
		if n == 0 {
			<-gate
			return
		}
		defer done.Done()
		var stack [64]byte
		name, _, _ := bytes.Cut(stack[:runtime.Stack(stack[:], false)], []byte(" [")) // "goroutine 7 [running]"
		names.LoadOrStore(string(name), true)
	}, stop)
	for n := range 1 + burst {
		pool.Run(n)
	}
	done.Wait()
	close(gate)
	count := 0
	names.Range(func(_, _ any) bool {
		count++
		return true
	})
	require.Less(t, count, burst/20)
}
