package transport

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport/wire"
)

// The device's clock said mono when the server's said at. The true instant of that reading was earlier by the uplink's
// delay, so a deadline on the device's clock may come early by the delay, and never late.
func TestDeadlineOnTheDevicesClock(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for _, c := range []struct {
		name     string
		mono     int64
		deadline time.Duration // after at
		want     int64
	}{
		{"open right after the heartbeat", 842_000, 5 * time.Second, 847_000},
		{"open 20 s after the heartbeat", 842_000, 25 * time.Second, 867_000},
		{"part of a millisecond is not given", 842_000, 5*time.Second + 999*time.Microsecond, 847_000},
		{"device that has just booted", 0, 5 * time.Second, 5_000},
		{"clock that came in after the open was made", 842_000, 4 * time.Second, 846_000},
		{"deadline before the reading", 842_000, -time.Second, 841_000},
		{"deadline a bit before the reading", 842_000, -time.Microsecond, 841_999},
		{"deadline before the boot", 100, -time.Second, 0},
	} {
		require.Equal(t, c.want, deviceClock{mono: c.mono, at: at}.notAfter(at.Add(c.deadline)), c.name)
	}
}

// Whatever the uplink's delay and a drift of 200 ppm over a heartbeat, the motor starts at most 5 ms after the deadline.
func TestDeadlineIsNeverLateByMoreThanTheDrift(t *testing.T) {
	t.Parallel()
	const drift = 200e-6
	boot := time.Now()
	for _, uplink := range []time.Duration{0, 80 * time.Millisecond, 3 * time.Second} {
		for _, age := range []time.Duration{0, time.Second, wire.HeartbeatEvery} {
			const sentMono = int64(1_000_000) // when the device wrote it, boot + 1,000 s
			sent := boot.Add(1000 * time.Second)
			clock := deviceClock{mono: sentMono, at: sent.Add(uplink)}
			deadline := clock.at.Add(age).Add(5 * time.Second)
			// The device's clock runs slow by drift since the reading: it shows the last good millisecond late.
			ran := float64(clock.notAfter(deadline) - sentMono)
			shown := sent.Add(time.Duration(ran / (1 - drift) * float64(time.Millisecond)))
			late := shown.Sub(deadline)
			require.LessOrEqual(t, late, 7*time.Millisecond)
			require.GreaterOrEqual(t, late, -uplink-time.Millisecond)
		}
	}
}

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
