package transport

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport/wire"
)

func TestFramesAreLimited(t *testing.T) {
	t.Parallel()
	var l limiter
	now := time.Hour
	for range wire.FrameBurst {
		require.True(t, l.allow(now))
	}
	require.False(t, l.allow(now))
	l.refund()
	require.True(t, l.allow(now))
	require.False(t, l.allow(now))
	for range 10 * wire.FramesPerSec {
		now += perFrame
		require.True(t, l.allow(now))
		require.False(t, l.allow(now))
	}
	now += time.Minute
	for range wire.FrameBurst {
		require.True(t, l.allow(now))
	}
	require.False(t, l.allow(now))
}
