package tenant_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

func TestMain(m *testing.M) {
	code := pgtest.Run(m)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// bound is how soon a revocation must hold everywhere.
const bound = time.Second

// Three members share a PostgreSQL, and their callers never stop, so that every cache is warm all the time.
func TestRevocationOnPostgreSQL(t *testing.T) {
	t.Parallel()
	const members, rounds = 3, 5
	server := pgtest.Shared(t)
	database := pgtest.Database(t)
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	all := make([]*tenant.Keys, members)
	for i := range all {
		j, err := postgres.Open(t.Context(), postgres.Options{URL: server.URL(database), Logger: logger})
		require.NoError(t, err)
		t.Cleanup(func() { _ = j.Close() })
		all[i] = member(t, j, 0, time.Now)
	}
	for round := range rounds {
		org := lock.OrgID(fmt.Sprint("org-", round))
		key, secret, err := all[0].Create(t.Context(), operator, org, tenant.NewKey{})
		require.NoError(t, err)
		var warm, late atomic.Int32
		var acknowledged atomic.Pointer[time.Time]
		ended := make(chan error, members)
		for _, m := range all {
			go func() {
				for first := true; ; first = false {
					began := time.Now()
					_, err := m.Authenticate(context.WithoutCancel(t.Context()), secret)
					if err != nil {
						ended <- err
						return
					}
					if at := acknowledged.Load(); at != nil && began.Sub(*at) > bound {
						late.Add(1)
					}
					if first {
						warm.Add(1)
					}
				}
			}()
		}
		require.Eventually(t, func() bool { return warm.Load() == members }, 10*time.Second, time.Millisecond)
		_, err = all[round%members].Revoke(t.Context(), operator, org, key.ID)
		require.NoError(t, err)
		now := time.Now()
		acknowledged.Store(&now)
		for range members {
			requireUnauthentic(t, <-ended, "api-key-revoked")
		}
		t.Logf("a revocation held on all members after %s", time.Since(now).Round(time.Millisecond))
		require.Zero(t, late.Load(), "requests that came after a second and were let in")
	}
}
