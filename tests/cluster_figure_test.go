package tests

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// benchmarkedOpens are open and answered one after the other, on one node and across three in turn, so that whatever else the
// machine does meets both.
const benchmarkedOpens = 500

// TestOpenAcrossNodesIsAsFast compares an open whose caller, grain and device are on three nodes with one that has them on one:
// same cluster, same run, in turn. Bar: at the median it takes no more than twice as long.
func TestOpenAcrossNodesIsAsFast(t *testing.T) {
	c := newCluster(t)          // not parallel: it is about time
	creds := c.provision(t, 24) // of which some are any node's, as good as certainly
	var ids []lock.ID
	for _, cred := range creds {
		ids = append(ids, lock.ID(cred.LockID))
	}
	var near, far sim.Credential
	for i, home := range c.homes(t, ids) {
		switch home {
		case c.nodes[0]:
			near = creds[i-1]
		case c.nodes[2]:
			far = creds[i-1]
		}
	}
	require.NotZero(t, near.LockID)
	require.NotZero(t, far.LockID)
	instant := func(o *sim.DeviceOptions) { o.Motor = sim.MotorOptions{Relock: 5 * time.Millisecond} }
	connect(t, c.device(t, near, connectsTo(c.nodes[0]), instant))
	connect(t, c.device(t, far, connectsTo(c.nodes[1]), instant))
	open := func(n *node, id int64, i int) time.Duration {
		began := time.Now()
		a := n.must(t, http.StatusOK, http.MethodPost, fmt.Sprintf("/locks/%d/OpenLock", id), map[string]any{"requestId": fmt.Sprint("r", i)})
		took := time.Since(began)
		require.Equal(t, string(lock.Opened), a.said().Outcome)
		return took
	}
	var one, three []time.Duration
	for i := range benchmarkedOpens {
		one = append(one, open(c.nodes[0], near.LockID, i))
		three = append(three, open(c.nodes[0], far.LockID, i))
	}
	t.Logf("an open on one node: p50 %s, p99 %s; across three: p50 %s, p99 %s (%.2f x)",
		at100(one, 50), at100(one, 99), at100(three, 50), at100(three, 99), float64(at100(three, 50))/float64(at100(one, 50)))
	require.LessOrEqual(t, at100(three, 50), 2*at100(one, 50))
}

// at100 is a percentile.
func at100(all []time.Duration, percent int) time.Duration {
	sorted := slices.SortedFunc(slices.Values(all), cmp.Compare[time.Duration])
	return sorted[(len(sorted)-1)*percent/100]
}
