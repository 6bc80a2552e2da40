package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/lock"
)

const (
	crowdClients = 50
	crowdOpens   = 200 // of all clients together
	crowdMaxUses = 5
)

// crowd lets 50 clients open 200 times with one key. Each starts when the test says, and repeats an open, under the same
// request ID, until it has an answer.
func (s *server) crowd(ctx context.Context, key guestKey, starts func(client int) time.Duration, unanswered *atomic.Int64) error {
	var clients errgroup.Group
	for client := range crowdClients {
		clients.Go(func() error {
			if !pause(ctx, starts(client)) {
				return ctx.Err()
			}
			for i := range crowdOpens / crowdClients {
				unanswered.Add(1)
				_, err := s.open(ctx, true, key, fmt.Sprintf("client-%d-%d", client, i))
				unanswered.Add(-1)
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return clients.Wait()
}

// tally counts what the opens with a key were answered.
func (l *ledger) tally(key guestKey) (accepted []string, usedUp int, other []act) {
	for _, a := range l.all() {
		switch {
		case a.kind != openByKey || a.key != key.uuid:
		case a.status == http.StatusSeeOther:
			accepted = append(accepted, string(a.request))
		case a.status == http.StatusForbidden && a.reason == "temp-key-used-up":
			usedUp++
		default:
			other = append(other, a)
		}
	}
	return accepted, usedUp, other
}

// Bar: a key with maxUses 5, and 200 concurrent opens from 50 clients: 5 movements or fewer, exactly 5 uses, and 195
// clear refusals.
func TestMaxUsesHoldsInACrowd(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	rounds := []struct {
		name   string
		travel time.Duration // of the motor
		starts func(client int) time.Duration
	}{
		{"all at once, instant motor", 0, func(int) time.Duration { return 0 }},
		{"one after the other, instant motor", 0, func(client int) time.Duration { return time.Duration(client) * 20 * time.Millisecond }},
		{"at random, instant motor", 0, func(int) time.Duration { return rand.N(500 * time.Millisecond) }},
		{"all at once, slow motor", time.Second, func(int) time.Duration { return 0 }},
		{"some together, slow motor", time.Second, func(client int) time.Duration { return time.Duration(min(client, 8)) * 400 * time.Millisecond }},
	}
	creds := s.provision(t, len(rounds))
	for i, round := range rounds {
		d := s.device(t, creds[i], travels(round.travel))
		connect(t, d)
		key := s.newKey(t, creds[i].LockID, crowdMaxUses)

		require.NoError(t, s.crowd(t.Context(), key, round.starts, new(atomic.Int64)))

		accepted, usedUp, other := s.ledger.tally(key)
		require.Empty(t, other)
		require.Len(t, accepted, crowdMaxUses)
		require.Equal(t, crowdOpens-crowdMaxUses, usedUp)
		for _, request := range accepted {
			s.becomes(t, key, request, lock.Opened)
		}
		moved := len(d.Movements())
		require.LessOrEqual(t, moved, crowdMaxUses)
		require.Positive(t, moved)
		listed := s.listed(t, key)
		require.EqualValues(t, crowdMaxUses, listed.UsedCount)
		require.Equal(t, string(lock.StatusUsedUp), listed.Status)
		told := make(map[string]int)
		for _, e := range s.events(t, creds[i].LockID) {
			told[e.Type]++
		}
		require.Equal(t, crowdMaxUses, told["TempKeyUsed"])
		require.Equal(t, crowdMaxUses, told["LockOpenRequested"])
		require.Equal(t, moved, told["LockOpened"])
		require.Zero(t, told["TempKeyUseReturned"]+told["LockOpenFailed"])
		t.Logf("%s: %d uses, %d movements, %d refusals", round.name, listed.UsedCount, moved, usedUp)
	}
	s.conclude(t)
}
