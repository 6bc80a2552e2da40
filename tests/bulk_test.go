package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bulkShare is how much of the time of single calls the one call for the same keys may take, by the number of locks. Where each
// key is of another lock, each is an append of its own, and only the commits are shared: what is then left is the processor's
// time, which a faster disk does not shorten.
var bulkShare = map[int]float64{500: 1.0 / 8, 50: 1.0 / 20, 1: 1.0 / 20}

// TestManyKeysInOneCallAreCheap creates 500 keys over many locks in one call, and others with 500 calls of one caller, by turns.
func TestManyKeysInOneCallAreCheap(t *testing.T) {
	const keys, rounds = 500, 3
	s := newServer(t)
	for _, locks := range []int{500, 50, 1} {
		t.Run(fmt.Sprintf("locks=%d", locks), func(t *testing.T) {
			body := func(lockID int) map[string]any {
				return map[string]any{"accessMode": "public", "validFrom": "2026-05-01T10:00:00Z", "validUntil": "2036-05-01T10:00:00Z"}
			}
			post := func(path string, body any) *answer {
				a, err := s.call(t.Context(), http.MethodPost, path, body)
				require.NoError(t, err)
				require.Less(t, a.status, 300, a.body)
				return a
			}
			for i := range locks {
				id := locks*1000 + i
				post(fmt.Sprintf("/locks/%d/CreateLock", id), map[string]any{"index": 1, "uuid": fmt.Sprintf("00000000-0000-4000-9000-%012d", id)})
			}
			best, sum := time.Hour, time.Hour
			for range rounds {
				started := time.Now()
				for i := range keys {
					id := locks*1000 + i%locks
					post(fmt.Sprintf("/locks/%d/create-temp-key", id), body(id))
				}
				sum = min(sum, time.Since(started))

				var items []any
				for i := range keys {
					id := locks*1000 + i%locks
					items = append(items, map[string]any{"lockId": id, "tempKey": body(id)})
				}
				started = time.Now()
				a := post("/bulk/create-temp-keys", map[string]any{"items": items})
				best = min(best, time.Since(started))
				var result struct {
					Success   bool
					Succeeded int
				}
				require.NoError(t, json.NewDecoder(strings.NewReader(a.body)).Decode(&result))
				require.True(t, result.Success, a.body)
				require.Equal(t, keys, result.Succeeded)
			}
			t.Logf("%d keys over %d locks: %s in one call, %s in %d calls, 1/%.0f", keys, locks, best.Round(time.Millisecond), sum.Round(time.Millisecond), keys, sum.Seconds()/best.Seconds())
			if buildFlags == nil { // the race detector has its own idea of what is cheap
				require.Less(t, best.Seconds(), sum.Seconds()*bulkShare[locks])
			}
		})
	}
}
