package tests

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// sharedKey is a collective key in a list.
type sharedKey struct {
	UUID      string
	RevokedAt *string
}

func (s *server) collectiveKeys(t *testing.T, lock int) (alive []sharedKey) {
	t.Helper()
	var list struct{ TempKeys []sharedKey }
	require.NoError(t, json.Unmarshal([]byte(s.must(t, 200, http.MethodGet, fmt.Sprintf("/temp-keys?lockId=%d", lock), nil).body), &list))
	for _, k := range list.TempKeys {
		if k.RevokedAt == nil {
			alive = append(alive, k)
		}
	}
	return alive
}

// grantedDoors counts the doors that locks hold.
func (s *server) grantedDoors(t *testing.T, locks int) (n int) {
	t.Helper()
	for id := 1; id <= locks; id++ {
		var list struct{ TempKeys []struct{ UUID string } }
		require.NoError(t, json.Unmarshal([]byte(s.must(t, 200, http.MethodGet, fmt.Sprintf("/locks/%d/temp-keys", id), nil).body), &list))
		n += len(list.TempKeys)
	}
	return n
}

// Bar: the server is killed with signal 9 while it creates and revokes keys for 50 doors. In the end every door of a key is
// granted, or none; and after a revocation that was acknowledged none is.
func TestCollectiveKeysAreWholeThroughKills(t *testing.T) {
	t.Parallel()
	const doors, rounds = 50, 6
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newServer(t)
	request := map[string]any{"validFrom": time.Now().Add(-time.Hour), "validUntil": time.Now().Add(time.Hour)}
	var wanted []any
	for id := 1; id <= doors; id++ {
		s.must(t, 201, http.MethodPost, fmt.Sprintf("/locks/%d/CreateLock", id), map[string]any{"index": id, "uuid": uuid.NewString()})
		wanted = append(wanted, map[string]any{"lockId": fmt.Sprint(id), "accessMethod": "both"})
	}
	request["doors"] = wanted

	// How long the two take when nothing goes wrong says when to kill.
	begun := time.Now()
	var key sharedKey
	require.NoError(t, json.Unmarshal([]byte(s.must(t, 201, http.MethodPost, "/temp-keys", request).body), &key))
	creating := time.Since(begun)
	begun = time.Now()
	s.must(t, 200, http.MethodDelete, "/temp-keys/"+key.UUID, nil)
	revoking := time.Since(begun)

	during := func(usual time.Duration, method, path string, body any) (answered bool) {
		done := make(chan int, 1)
		go func() {
			a, err := s.call(t.Context(), method, path, body)
			if err != nil {
				done <- 0
				return
			}
			done <- a.status
		}()
		require.True(t, pause(t.Context(), time.Duration(random.Int64N(int64(usual)))))
		s.kill()
		status := <-done
		s.start(t)
		return status != 0
	}
	interrupted := 0
	for round := range rounds {
		answered := during(creating, http.MethodPost, "/temp-keys", request)
		require.Eventually(t, func() bool {
			n, alive := s.grantedDoors(t, doors), s.collectiveKeys(t, 1)
			return n == doors*len(alive)
		}, patience, pollEvery, "round %d: every door or none", round)
		alive := s.collectiveKeys(t, 1)
		if answered {
			require.Len(t, alive, 1)
		} else {
			interrupted++
		}
		if len(alive) == 0 {
			require.NoError(t, json.Unmarshal([]byte(s.must(t, 201, http.MethodPost, "/temp-keys", request).body), &key))
		} else {
			key = alive[0]
		}

		if !during(revoking, http.MethodDelete, "/temp-keys/"+key.UUID, nil) {
			interrupted++
		}
		s.must(t, 200, http.MethodDelete, "/temp-keys/"+key.UUID, nil)
		require.Zero(t, s.grantedDoors(t, doors), "round %d: acknowledged, so no door is left", round)
		require.Empty(t, s.collectiveKeys(t, 1))
	}
	t.Logf("%d of %d kills came before the answer; creating takes %s, revoking %s", interrupted, 2*rounds, creating, revoking)
	require.Positive(t, interrupted, "no kill met a request in flight: the test has shown nothing")
}
