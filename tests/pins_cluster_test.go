package tests

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
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

// Bar: somebody tries codes at a lock, on three nodes at once, while these are killed and started again. No more of them are
// looked at than the lockout allows: the journal has every one, and none comes before the time that the one before it has set.
func TestNoMoreCodesAreTriedThanTheLockoutAllows(t *testing.T) {
	t.Parallel()
	const guessers = 24
	guesses := int64(dose.Of(4000, 1_000_000))
	file := filepath.Join(t.TempDir(), "pin.key")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("0f", 32)), 0o600))
	c := newCluster(t, "--pin-key-file", file)
	c.must(t, 201, http.MethodPost, "/locks/1/CreateLock", map[string]any{"index": 1, "uuid": uuid.NewString()})
	c.must(t, 201, http.MethodPost, "/temp-keys", map[string]any{
		"validFrom": time.Now().Add(-time.Hour), "validUntil": time.Now().Add(time.Hour),
		"doors": []any{map[string]any{"lockId": "1", "accessMethod": "code"}},
	})

	var next, refused, locked atomic.Int64
	guessing := func() error {
		for n := next.Add(1); n <= guesses; n = next.Add(1) {
			a, err := c.patiently(t.Context(), http.MethodPost, "/locks/1/open-with-pin", map[string]any{"pin": fmt.Sprintf("%06d", n)})
			if err != nil {
				return err
			}
			switch a.status {
			case http.StatusUnauthorized:
				refused.Add(1)
			case http.StatusTooManyRequests:
				locked.Add(1)
			case http.StatusOK: // guessed by luck, one in a hundred thousand
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
	kills := 0
	for _, n := range c.nodes {
		done := int64(kills+1) * guesses / int64(len(c.nodes)+1)
		require.Eventually(t, func() bool { return next.Load() >= done }, 20*patience, pollEvery)
		n.kill()
		n.start(t)
		kills++
	}
	all.Wait()
	took := time.Since(begun)
	for range guessers {
		require.NoError(t, <-problems)
	}

	var before *lock.PINWasWrong
	tried := 0
	for _, r := range c.conclude(t) {
		e, err := lock.UnmarshalEvent(r.Type, r.Data)
		wrong, ok := e.(*lock.PINWasWrong)
		if err != nil || !ok {
			continue
		}
		tried++
		if before != nil {
			require.False(t, wrong.At.Before(before.LockedUntil), "a code was looked at while the panel was locked")
			if before.Wrong >= 4 {
				require.Greater(t, wrong.LockedUntil.Sub(wrong.At), before.LockedUntil.Sub(before.At), "each lockout is longer")
			}
		}
		before = wrong
	}
	t.Logf("%d codes in %s, through %d kills: %d were looked at, %d refused, %d found the panel locked", guesses, took, kills, tried, refused.Load(), locked.Load())
	require.LessOrEqual(t, refused.Load(), int64(tried))
	require.GreaterOrEqual(t, tried, 5)
	require.Positive(t, locked.Load())
}
