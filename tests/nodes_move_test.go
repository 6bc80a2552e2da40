package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// timing is how long an open took, and when it began.
type timing struct {
	at   time.Time
	took time.Duration
}

// logTimings tells how long the opens took that began in a while.
func logTimings(t *testing.T, name string, all []timing, from, to time.Time) {
	t.Helper()
	var took []time.Duration
	for _, o := range all {
		if !o.at.Before(from) && o.at.Before(to) {
			took = append(took, o.took)
		}
	}
	slices.Sort(took)
	require.NotEmpty(t, took)
	at := func(percent int) time.Duration { return took[(len(took)-1)*percent/100].Round(time.Millisecond) }
	t.Logf("%s: %d opens, p50 %v, p99 %v, slowest %v", name, len(took), at(50), at(99), at(100))
}

// Bar: a node joins and takes a third of the locks over, while their devices stay where they are. Every open of the time is
// done, and nobody hears that a device is away.
func TestManySessionsMoveAtOnce(t *testing.T) {
	t.Parallel()
	const callers, calm, after = 8, 3 * time.Second, 8 * time.Second
	sessions := dose.Of(200, 5000)
	c := newClusterOf(t, clusterNodes)
	third := c.nodes[2]
	c.nodes = c.nodes[:2]
	for _, n := range c.nodes {
		n.start(t)
	}
	c.awaitMembers(t, 2)
	creds := c.provision(t, sessions)
	fleet, err := sim.NewFleet(creds, sim.FleetOptions{
		Device:      sim.DeviceOptions{Servers: []string{c.nodes[0].url, c.nodes[1].url}, Backoff: fastBackoff, Recorder: c.motors},
		ConnectRate: 1000,
	})
	require.NoError(t, err)
	t.Cleanup(fleet.Stop)
	require.NoError(t, fleet.Start(t.Context()))
	require.NoError(t, fleet.WaitConnected(t.Context(), sessions))

	var mu sync.Mutex
	var all []timing
	var people errgroup.Group
	day, evening := context.WithCancel(t.Context())
	for i := range callers {
		people.Go(func() error {
			for day.Err() == nil {
				began := time.Now()
				n := c.nodes[rand.IntN(2)]
				a, err := n.openByRight(t.Context(), creds[rand.IntN(sessions)].LockID)
				if err != nil {
					return err
				}
				if a.status != http.StatusOK || a.said().Outcome != string(lock.Opened) {
					return fmt.Errorf("caller %d: %d %s", i, a.status, a.body)
				}
				mu.Lock()
				all = append(all, timing{began, time.Since(began)})
				mu.Unlock()
			}
			return nil
		})
	}
	require.True(t, pause(t.Context(), calm))
	joined := time.Now()
	third.start(t)
	require.True(t, pause(t.Context(), after))
	evening()
	require.NoError(t, people.Wait())
	logTimings(t, "before", all, time.Time{}, joined)
	logTimings(t, "while a node joins", all, joined, time.Now())
	moved, _ := third.metric(t.Context(), "latchkey_actors_activations")
	t.Logf("%.0f of %d locks moved", moved, sessions)
	require.Greater(t, moved, float64(sessions)/5, "so many locks have moved")
	c.nodes = append(c.nodes, third)
	c.conclude(t)
}
