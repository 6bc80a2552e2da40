package tests

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
)

// revocationBound is how soon after its acknowledgement a revocation holds on every node.
const revocationBound = time.Second

// asking is a caller that shows one node the same key again and again, so that what the node remembers of it is always fresh.
type asking struct {
	mu   sync.Mutex
	seen []shown
}

// shown is one call with the key.
type shown struct {
	at     time.Time // when it was sent
	status int
}

func (a *asking) run(ctx context.Context, n *node, key string) {
	for ctx.Err() == nil {
		at := time.Now()
		if answer, err := n.call(ctx, http.MethodGet, "/locks/1/basic-info", nil, "X-API-Key", key); err == nil {
			a.mu.Lock()
			a.seen = append(a.seen, shown{at, answer.status})
			a.mu.Unlock()
		}
	}
}

// count counts the calls that were sent from an instant on, by what they were answered with.
func (a *asking) count(from time.Time) map[int]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	counts := make(map[int]int)
	for _, s := range a.seen {
		if !s.at.Before(from) {
			counts[s.status]++
		}
	}
	return counts
}

// latest is when the last call was sent that was let in, after an instant.
func (a *asking) latest(from time.Time) (late time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.seen {
		if s.status == http.StatusOK {
			late = max(late, s.at.Sub(from))
		}
	}
	return late
}

// ask lets a caller ask each node with a key, until the test says stop.
func (c *cluster) ask(t *testing.T, key string) (callers []*asking, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, n := range c.nodes {
		a := new(asking)
		callers = append(callers, a)
		all.Go(func() { a.run(ctx, n, key) })
	}
	stop = func() { cancel(); all.Wait() }
	t.Cleanup(stop)
	for i, a := range callers {
		require.Eventually(t, func() bool { return a.count(time.Time{})[http.StatusOK] > 0 }, patience, 5*time.Millisecond, "node %d", i+1)
	}
	return callers, stop
}

// Bar: a revoked API key is refused by every node within a second, also by those that take it all the time. A node that is cut
// off from the journal takes no key for longer than that.
func TestARevokedAPIKeyIsRefusedEverywhere(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	const keys = "/organizations/hotel/api-keys"
	owner := c.must(t, 201, http.MethodPost, keys, map[string]any{}).said().Key
	c.must(t, 201, http.MethodPost, "/locks/1/CreateLock", map[string]any{"index": 1, "uuid": uuid.NewString()}, "X-API-Key", owner)

	for i, n := range c.nodes {
		made := c.must(t, 201, http.MethodPost, keys, map[string]any{"scopes": []string{"read"}}).said()
		callers, stop := c.ask(t, made.Key)
		n.must(t, 200, http.MethodPost, keys+"/"+made.KeyID+"/revoke", nil)
		acknowledged := time.Now()
		for j, a := range callers {
			require.Eventually(t, func() bool { return a.count(acknowledged.Add(revocationBound))[http.StatusUnauthorized] > 3 }, patience, 5*time.Millisecond)
			t.Logf("revoked on node %d: node %d let the key in for another %s", i+1, j+1, a.latest(acknowledged).Round(time.Millisecond))
			require.Zero(t, a.count(acknowledged.Add(revocationBound))[http.StatusOK])
		}
		stop()
	}

	// The second node hears no more of the journal, and so it does not hear of the revocation either.
	made := c.must(t, 201, http.MethodPost, keys, map[string]any{"scopes": []string{"read"}}).said()
	callers, stop := c.ask(t, made.Key)
	deaf := c.nodes[1]
	deaf.toStore.Freeze(sim.Both)
	cut := time.Now()
	c.nodes[0].must(t, 200, http.MethodPost, keys+"/"+made.KeyID+"/revoke", nil)
	require.Eventually(t, func() bool { return callers[1].count(cut.Add(revocationBound))[http.StatusServiceUnavailable] > 0 }, patience, 5*time.Millisecond)
	require.Zero(t, callers[1].count(cut.Add(revocationBound))[http.StatusOK])
	deaf.toStore.Thaw(sim.Both)
	healed := time.Now()
	require.Eventually(t, func() bool { return callers[1].count(healed)[http.StatusUnauthorized] > 0 }, patience, 5*time.Millisecond)
	stop()
	require.Zero(t, callers[1].count(cut.Add(revocationBound))[http.StatusOK])

	// All nodes tell the same of it.
	for _, n := range c.nodes {
		list := n.must(t, 200, http.MethodGet, keys, nil).body
		require.Equal(t, len(c.nodes)+1, strings.Count(list, `"status":"revoked"`))
		require.Equal(t, 1, strings.Count(list, `"status":"active"`))
	}
}
