package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/lock"
)

// What ADR 19 says of guessing: so many wrong codes in a row are free, then each locks the panel, twice as long as the one before.
const (
	freeCodes        = 4
	firstPanelLock   = 30 * time.Second
	longestPanelLock = time.Hour
)

// allowed is how many codes may have been looked at within some time.
func allowed(within time.Duration) int {
	n := freeCodes + 1
	for locked := firstPanelLock; within >= locked; locked = min(2*locked, longestPanelLock) {
		within -= locked
		n++
	}
	return n
}

// Bar: somebody tries codes at a lock, on three nodes at once, while these are killed and started again. No more of them are
// looked at than the lockout allows: the journal has every one, none comes before the time that the one before it has set, and
// there are no more of them than that time has room for. The right code helps nobody while the panel is locked.
func TestNoMoreCodesAreTriedThanTheLockoutAllows(t *testing.T) {
	t.Parallel()
	const guessers = 48
	guesses, kills := int64(dose.Of(4000, 1_000_000)), dose.Of(clusterNodes, 30)
	file := filepath.Join(t.TempDir(), "pin.key")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("0f", 32)), 0o600))
	c := newCluster(t, "--pin-key-file", file)
	c.must(t, 201, http.MethodPost, "/locks/1/CreateLock", map[string]any{"index": 1, "uuid": uuid.NewString()})
	var key struct{ Pin string }
	require.NoError(t, json.Unmarshal([]byte(c.must(t, 201, http.MethodPost, "/temp-keys", map[string]any{
		"validFrom": time.Now().Add(-time.Hour), "validUntil": time.Now().Add(24 * time.Hour),
		"doors": []any{map[string]any{"lockId": "1", "accessMethod": "code"}},
	}).body), &key))
	require.Len(t, key.Pin, 6)

	var next, refused, locked atomic.Int64
	guessing := func() error {
		for n := next.Add(1); n <= guesses; n = next.Add(1) {
			code := fmt.Sprintf("%06d", n-1)
			if code == key.Pin {
				continue // one in a million is no luck that a test should count on
			}
			a, err := c.patiently(t.Context(), http.MethodPost, "/locks/1/open-with-pin", map[string]any{"pin": code})
			if err != nil {
				return err
			}
			switch a.status {
			case http.StatusUnauthorized:
				refused.Add(1)
			case http.StatusTooManyRequests:
				locked.Add(1)
			default:
				return fmt.Errorf("%d: %s", a.status, a.body)
			}
		}
		return nil
	}
	begun := time.Now()
	var all sync.WaitGroup
	problems := make(chan error, guessers)
	for range guessers {
		all.Go(func() { problems <- guessing() })
	}
	for kill := range kills {
		done := int64(kill+1) * guesses / int64(kills+1)
		require.Eventually(t, func() bool { return next.Load() >= done }, 20*patience, pollEvery)
		n := c.nodes[kill%clusterNodes]
		n.kill()
		n.start(t)
	}
	all.Wait()
	took := time.Since(begun)
	for range guessers {
		require.NoError(t, <-problems)
	}
	for _, n := range c.nodes {
		n.refusesWhileLocked(t, key.Pin)
	}

	var before *lock.PINWasWrong
	var first time.Time
	tried := 0
	for _, r := range c.conclude(t) {
		e, err := lock.UnmarshalEvent(r.Type, r.Data)
		_, opened := e.(*lock.LockOpenRequested)
		require.False(t, opened, "nobody has opened")
		wrong, ok := e.(*lock.PINWasWrong)
		if err != nil || !ok {
			continue
		}
		tried++
		if before == nil {
			first = wrong.At
		} else {
			require.False(t, wrong.At.Before(before.LockedUntil), "a code was looked at while the panel was locked")
			if before.Wrong > freeCodes {
				require.Greater(t, wrong.LockedUntil.Sub(wrong.At), before.LockedUntil.Sub(before.At), "each lockout is longer")
			}
		}
		before = wrong
	}
	t.Logf("%d codes in %s (%.0f a second), through %d kills: %d were looked at, of %d that the lockout allows; %d refused, %d found the panel locked",
		guesses, took.Round(time.Millisecond), float64(guesses)/took.Seconds(), kills, tried, allowed(before.At.Sub(first)), refused.Load(), locked.Load())
	require.LessOrEqual(t, tried, allowed(before.At.Sub(first)))
	require.LessOrEqual(t, refused.Load(), int64(tried), "who is told that a code is wrong has had it counted")
	require.GreaterOrEqual(t, tried, freeCodes+1)
	require.Positive(t, locked.Load())
}

// refusesWhileLocked tries the right code when the panel is locked for some seconds more: it is not looked at either.
func (n *node) refusesWhileLocked(t *testing.T, pin string) {
	t.Helper()
	const enough = 10 // seconds
	try := func(code string) (status, retryAfter int) {
		a, err := n.patiently(t.Context(), http.MethodPost, "/locks/1/open-with-pin", map[string]any{"pin": code})
		require.NoError(t, err)
		retryAfter, _ = strconv.Atoi(a.header.Get("Retry-After"))
		return a.status, retryAfter
	}
	var until time.Time
	require.Eventually(t, func() bool {
		asked := time.Now()
		_, seconds := try("1234567") // never one of ours, which have six digits
		until = asked.Add(time.Duration(seconds-1) * time.Second)
		return seconds >= enough
	}, patience, pollEvery)
	status, _ := try(pin)
	require.True(t, time.Now().Before(until), "the machine is too slow to look at the lockout")
	require.Equal(t, http.StatusTooManyRequests, status, "the right code on %s", n.name)
}
