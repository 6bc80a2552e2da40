package transport

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

func TestAllowance(t *testing.T) {
	t.Parallel()
	var a allowance
	const frame = 16 << 10
	spend := func(id lock.ID, now time.Duration) (bytes int) {
		for a.take(id, frame, now) {
			bytes += frame
		}
		return bytes
	}
	now := time.Minute
	require.InDelta(t, wire.EventBurst, spend(1, now), 2*frame)
	require.Zero(t, spend(1, now))
	require.InDelta(t, wire.EventBurst, spend(2, now), 2*frame, "each device has its own")
	spent := 0
	for range 24 {
		now += time.Hour
		spent += spend(1, now)
	}
	require.InEpsilon(t, 24*3600*wire.EventBytesPerSec, spent, 0.05, "what the rate allows, and no more")

	a.forget(now)
	require.Len(t, a.until, 1, "who has used little of it is not remembered")
	now += time.Duration(wire.EventBurst/wire.EventBytesPerSec) * time.Second
	a.forget(now)
	require.Nil(t, a.until)
	require.InDelta(t, wire.EventBurst, spend(1, now), 2*frame)
}

// A device whose door moves all day long is far from it.
func TestAllowanceIsGenerous(t *testing.T) {
	t.Parallel()
	var a allowance
	now := time.Duration(0)
	items := wire.Events{Items: []wire.Event{{Seq: 123456, Type: "door", Value: "closed", Mono: 123456789}, {Seq: 123457, Type: "bolt", Value: "locked", Mono: 123456999}}}
	size := len(items.Append(nil))
	for range 24 * 3600 / 2 { // opens and closes every two seconds
		require.True(t, a.take(1, size, now))
		now += 2 * time.Second
	}
	for range 5000 { // and it had been offline for long
		require.True(t, a.take(2, size/2-wire.EventCallBytes, now))
	}
}
