package tests

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const (
	leaseTTL       = 5 * time.Second // the default of a node
	takeoverWithin = leaseTTL + time.Second
	takeoverLocks  = 60
)

// Bar: every lock is usable again at most a second after the lease of its node, which was killed with signal 9, has ended.
func TestClusterTakesOverFromAKilledNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.provision(t, takeoverLocks)
	keys := make([]guestKey, takeoverLocks)
	for i := range keys {
		keys[i] = c.newKey(t, int64(i+1), 1)
	}
	c.nodes[0].kill()
	killed := time.Now()
	c.nodes = c.nodes[1:]
	took := c.allUsable(t, keys).Sub(killed)
	t.Logf("every one of %d locks was usable %v after the kill", takeoverLocks, took.Round(time.Millisecond))
	require.LessOrEqual(t, took, takeoverWithin)
	require.Greater(t, took, leaseTTL/3, "no lock was the killed node's: the test has shown nothing")
	c.conclude(t)
}

// allUsable asks the lock of each key for its keys, through any node, until it answers. It tells when the last one did.
func (c *cluster) allUsable(t *testing.T, keys []guestKey) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all := make([]time.Time, len(keys))
	var asking errgroup.Group
	for i, key := range keys {
		asking.Go(func() error {
			for {
				attempt, stop := context.WithTimeout(ctx, time.Second) // what was asked of the dead need not be waited for
				answer, err := c.list(attempt, int64(key.lock))
				stop()
				if err == nil && answer.status == http.StatusOK {
					all[i] = time.Now()
					return nil
				}
				if ctx.Err() != nil {
					return err
				}
			}
		})
	}
	require.NoError(t, asking.Wait())
	return slices.MaxFunc(all, time.Time.Compare)
}
