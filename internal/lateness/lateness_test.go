package lateness_test

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/lateness"
)

// Not parallel: it wants all processors, and more.
func TestWhoeverSharesAProcessorWaits(t *testing.T) {
	const enough = 20 * time.Millisecond
	before, err := lateness.Of(os.Getpid())
	require.NoError(t, err)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4 * runtime.NumCPU()))
	var done atomic.Bool
	var busy sync.WaitGroup
	for range 4 * runtime.NumCPU() {
		busy.Go(func() {
			for !done.Load() {
				runtime.Gosched()
			}
		})
	}
	defer busy.Wait()
	defer done.Store(true)
	require.Eventually(t, func() bool {
		now, err := lateness.Of(os.Getpid())
		return err == nil && now-before > enough
	}, 10*time.Second, time.Millisecond)
}

func TestOfNobody(t *testing.T) {
	t.Parallel()
	_, err := lateness.Of(-1)
	require.ErrorIs(t, err, os.ErrNotExist)
}
