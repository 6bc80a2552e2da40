package tests

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/sim"
)

const (
	stormBaseline = 2 * time.Second
	stormMemory   = 1.3 // times that of before, at most, when the storm is over
	stormSlower   = 2   // times as long a call takes meanwhile at the median, at most
	stormCalls    = 50  // make a median; there are as many storms as that takes
)

// Bar: all devices lose their connection at once. All come back, each call of the API is answered meanwhile, in not much more time, and
// the server's memory is what it was. Devices and server share the machine, so how long a call takes on it at that time is what it
// takes another server, which has no devices. The p99 is logged: in the second in which they all come it is how the cores are shared.
func TestReconnectStorm(t *testing.T) {
	t.Parallel()
	devices := dose.Of(2_000, 10_000)
	s := newMeasuredServer(t)
	creds := s.provision(t, devices)
	stats := new(sim.Stats)
	fleet, err := sim.NewFleet(creds, sim.FleetOptions{ConnectRate: 1000, Device: sim.DeviceOptions{
		Servers: []string{s.url}, Stats: stats, Backoff: sim.Backoff{Min: time.Second, Max: 10 * time.Second},
	}})
	require.NoError(t, err)
	t.Cleanup(fleet.Stop)
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	require.NoError(t, fleet.Start(ctx))
	require.NoError(t, fleet.WaitConnected(ctx, devices))

	// What the program holds of the machine's memory.
	memory := func() float64 {
		n := &node{server: s}
		all, ok1 := n.metric(t.Context(), "go_memstats_sys_bytes")
		released, ok2 := n.metric(t.Context(), "go_memstats_heap_released_bytes")
		require.True(t, ok1 && ok2)
		return all - released
	}
	other := newMeasuredServer(t)
	other.provision(t, 1)
	ask := func(s *server) (took time.Duration) {
		began := time.Now()
		s.must(t, http.StatusOK, http.MethodGet, "/locks/1/details", nil)
		return time.Since(began)
	}
	var before, calm, storm []time.Duration
	for began := time.Now(); time.Since(began) < stormBaseline; {
		before = append(before, ask(s))
	}
	held := memory()
	var back time.Duration
	for len(storm) < stormCalls {
		began, base := time.Now(), stats.Counts().Reconnects
		for _, d := range fleet.Devices() {
			require.True(t, d.DropSocket())
		}
		for stats.Counts().Reconnects-base < int64(devices) {
			require.NoError(t, ctx.Err(), "%d of %d are back", stats.Counts().Reconnects-base, devices)
			storm = append(storm, ask(s))
			calm = append(calm, ask(other))
		}
		require.NoError(t, fleet.WaitConnected(ctx, devices))
		back = max(back, time.Since(began))
	}
	t.Logf("%d devices are back after %s; %d calls took p50 %s and p99 %s before, %s and %s meanwhile, and %s and %s another server", devices,
		back.Round(time.Millisecond), len(storm), at100(before, 50), at100(before, 99), at100(storm, 50), at100(storm, 99), at100(calm, 50), at100(calm, 99))
	if buildFlags == nil { // under the race detector the devices, which are in this process, need more than the two cores have
		require.LessOrEqual(t, at100(storm, 50), stormSlower*at100(calm, 50))
	}
	require.Eventually(t, func() bool { return memory() <= stormMemory*held }, patience, time.Second, "the memory of before was %.0f", held)
	t.Logf("memory: %.0f MB before, %.0f MB after", held/1e6, memory()/1e6)
}
