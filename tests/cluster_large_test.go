package tests

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// Bar: an organisation that makes the largest list that a lock may have, and reads it many times at once through another node, does
// not break the connection between the two, on which others have requests under way.
func TestLargeListsTravelBetweenNodes(t *testing.T) {
	t.Parallel()
	const readers = 10 // 90 MB together
	c := newCluster(t)
	ids := []lock.ID{1}
	for id := lock.ID(2); id <= 13; id++ {
		ids = append(ids, id)
	}
	for _, id := range ids {
		c.must(t, 201, http.MethodPost, fmt.Sprintf("/locks/%d/CreateLock", id), map[string]any{"index": 1, "uuid": uuid.NewString()})
	}
	homes := c.homes(t, ids)
	var other *node
	for _, n := range c.nodes {
		if n != homes[1] {
			other = n
		}
	}
	var beside []lock.ID // whose grains are on the same node
	for _, id := range ids[1:] {
		if homes[id] == homes[1] {
			beside = append(beside, id)
		}
	}
	require.NotEmpty(t, beside)

	long := strings.Repeat("\U0001F512", 2000)
	for full := false; !full; {
		var items []any
		for range 100 {
			items = append(items, map[string]any{"lockId": 1, "tempKey": map[string]any{
				"accessMode": "public", "validFrom": "2026-05-01T10:00:00Z", "validUntil": "2036-05-01T10:00:00Z", "description": long,
			}})
		}
		a := c.must(t, 200, http.MethodPost, "/bulk/create-temp-keys", map[string]any{"items": items})
		full = strings.Contains(a.body, "temp-keys-too-large")
	}

	done := make(chan struct{})
	var reading, asking sync.WaitGroup
	problems := make(chan error, readers+1)
	get := func(path string) error {
		// On a busy machine somebody may have to come back.
		a, err := other.patiently(t.Context(), http.MethodGet, path, nil)
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("%s: %d %s", path, a.status, a.body)
		}
		return err
	}
	asking.Go(func() {
		for {
			for _, id := range beside {
				if err := get(fmt.Sprintf("/locks/%d/basic-info", id)); err != nil {
					problems <- err
					return
				}
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range readers {
		reading.Go(func() {
			if err := get("/locks/1/temp-keys"); err != nil {
				problems <- err
			}
		})
	}
	reading.Wait()
	close(done)
	asking.Wait()
	close(problems)
	for err := range problems {
		require.NoError(t, err)
	}
	lost, ok := other.metric(t.Context(), `latchkey_cluster_requests_total{outcome="lost"}`)
	require.True(t, ok)
	require.Zero(t, lost, "requests went down with the connection")
}
