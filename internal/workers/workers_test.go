package workers_test

import (
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
