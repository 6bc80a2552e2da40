package ring

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A ring that never gets empty stays in order, and in the memory that it needs; an empty one gives that back.
func TestARingThatNeverGetsEmpty(t *testing.T) {
	t.Parallel()
	const waiting, total, keep = 300, 10_000, 64
	var r Ring[int]
	for n := range total {
		r.Push(n)
		if n >= waiting {
			require.Equal(t, n-waiting, r.Pop())
			require.Equal(t, waiting, r.Len())
		}
	}
	require.Less(t, len(r.buf), 4*waiting)
	for n := total - waiting; n < total; n++ {
		r.Release(keep)
		require.Equal(t, n, r.Pop())
	}
	r.Release(keep)
	require.Nil(t, r.buf)
	r.Push(1)
	r.Pop()
	r.Release(0)
	require.Len(t, r.buf, start, "one that is used now and then keeps what it begins with")
}
