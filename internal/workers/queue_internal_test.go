package workers

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A queue that never gets empty stays in order, and in the memory that it needs.
func TestAQueueThatNeverGetsEmpty(t *testing.T) {
	t.Parallel()
	const waiting, total = 3 * keptQueue, 100 * keptQueue
	p := &Pool[int]{coming: true} // so that nobody but the test takes anything
	for n := range total {
		p.Run(n)
		if n >= waiting {
			require.Equal(t, n-waiting, p.take())
		}
	}
	require.Less(t, cap(p.queue), 8*waiting)
	for n := total - waiting; n < total; n++ {
		require.Equal(t, n, p.take())
	}
	require.Nil(t, p.queue, "nothing waits, and so much memory is not kept")
}
