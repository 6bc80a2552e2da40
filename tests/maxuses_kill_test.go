package tests

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// Bar: the same crowd, and the server is killed with signal 9 in the middle and started again. The clients repeat their
// requests under the same IDs until they have an answer.
func TestMaxUsesHoldsThroughKills(t *testing.T) {
	t.Parallel()
	const kills = 8
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	s := newServer(t)
	creds := s.provision(t, kills)
	caught := int64(0)
	for round := range kills {
		travel := time.Duration(random.IntN(250)) * time.Millisecond
		d := s.device(t, creds[round], travels(travel))
		connect(t, d)
		key := s.newKey(t, creds[round].LockID, crowdMaxUses)

		starts := make([]time.Duration, crowdClients)
		for i := range starts {
			starts[i] = time.Duration(random.IntN(400)) * time.Millisecond
		}
		killAfter := time.Duration(random.Int64N(int64(travel + 50*time.Millisecond))) // most of the uses go in the first moments
		var unanswered atomic.Int64
		done := make(chan error, 1)
		go func() {
			done <- s.crowd(t.Context(), key, func(client int) time.Duration { return starts[client] }, &unanswered)
		}()
		require.True(t, pause(t.Context(), killAfter))
		s.kill()
		lost := unanswered.Load()
		caught += lost
		s.start(t)
		require.NoError(t, <-done)

		accepted, usedUp, other := s.ledger.tally(key)
		require.Empty(t, other)
		require.Equal(t, crowdOpens, len(accepted)+usedUp)
		outcomes := make(map[lock.Outcome]int)
		for _, request := range accepted { // the device is back, so every open gets resolved
			outcomes[s.becomes(t, key, request, lock.Opened, lock.Expired, lock.Refused)]++
		}
		uses, moved := s.listed(t, key).UsedCount, len(d.Movements())
		require.LessOrEqual(t, uses, int64(crowdMaxUses))
		require.EqualValues(t, outcomes[lock.Opened], uses, "a use is an open door, now that all is known")
		require.LessOrEqual(t, moved, crowdMaxUses)
		t.Logf("kill %d after %s with %d requests in flight, motor of %s: %d accepted, %d uses, %d movements, %d refusals, %v",
			round+1, killAfter, lost, travel, len(accepted), uses, moved, usedUp, outcomes)
	}
	require.Positive(t, caught, "no kill met a request in flight: the test has shown nothing")
	s.conclude(t)
}
