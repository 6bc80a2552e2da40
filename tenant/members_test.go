package tenant_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

func TestEveryMemberHearsOfARevocationWithinASecond(t *testing.T) {
	t.Parallel()
	here, j, now := newKeys(t, 0)
	there := member(t, j, 0, now.Now)
	key, secret, err := here.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
	good := func(keys *tenant.Keys) {
		t.Helper()
		_, err := keys.Authenticate(t.Context(), secret)
		require.NoError(t, err)
	}
	good(here)
	good(there)
	revoked, err := here.Revoke(t.Context(), operator, "hotel-9", key.ID)
	require.NoError(t, err)
	require.Equal(t, tenant.Revoked, revoked.Status(now.Now()))
	_, err = here.Authenticate(t.Context(), secret)
	requireUnauthentic(t, err, "api-key-revoked")
	good(there) // it has not looked since
	before := j.looks()
	for range 100 {
		good(there)
	}
	require.Equal(t, before, j.looks(), "the cache is used")
	now.Advance(time.Second)
	_, err = there.Authenticate(t.Context(), secret)
	requireUnauthentic(t, err, "api-key-revoked")
	again, err := there.Revoke(t.Context(), operator, "hotel-9", key.ID)
	require.NoError(t, err)
	require.Equal(t, revoked.RevokedAt, again.RevokedAt)
}

func TestNoKeyIsGoodWhenTheJournalIsGoneForASecond(t *testing.T) {
	t.Parallel()
	keys, j, now := newKeys(t, 0)
	_, secret, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
	_, err = keys.Authenticate(t.Context(), secret)
	require.NoError(t, err)
	j.fail(journal.ErrFailed)
	now.Advance(800 * time.Millisecond)
	_, err = keys.Authenticate(t.Context(), secret)
	require.NoError(t, err, "a hiccup of the journal closes no doors")
	now.Advance(200 * time.Millisecond)
	_, err = keys.Authenticate(t.Context(), secret)
	require.ErrorIs(t, err, tenant.ErrUnavailable)
	j.fail(nil)
	_, err = keys.Authenticate(t.Context(), secret)
	require.NoError(t, err)
}

// A member that knows an organisation must take a key of it that another member made just now.
func TestANewKeyIsGoodOnEveryMemberAtOnce(t *testing.T) {
	t.Parallel()
	here, j, now := newKeys(t, 0)
	there := member(t, j, 0, now.Now)
	for range 20 {
		_, secret, err := here.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
		require.NoError(t, err)
		now.Advance(time.Nanosecond)
		_, err = there.Authenticate(t.Context(), secret)
		require.NoError(t, err)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	keys, j, _ := newKeys(t, 2)
	var secrets []string
	for _, org := range []lock.OrgID{"a", "b", "c"} {
		_, secret, err := keys.Create(t.Context(), operator, org, tenant.NewKey{})
		require.NoError(t, err)
		secrets = append(secrets, secret)
	}
	looks := func(i int) int {
		before := j.looks()
		_, err := keys.Authenticate(t.Context(), secrets[i])
		require.NoError(t, err)
		return j.looks() - before
	}
	require.Positive(t, looks(0))
	require.Zero(t, looks(0))
	require.Positive(t, looks(1))
	require.Positive(t, looks(2))
	require.Positive(t, looks(0), "the first was pushed out")
}

// slow holds up the readers of a journal.
type slow struct {
	journal.Journal
	began chan struct{}
	gate  chan struct{}
}

func (s *slow) Read(ctx context.Context, stream string, after uint64, limit int) ([]journal.Record, error) {
	records, err := s.Journal.Read(ctx, stream, after, limit)
	s.began <- struct{}{}
	<-s.gate
	return records, err
}

// Many callers at once look into the journal once, and one that gives up does not disturb the others.
func TestCallersShareALook(t *testing.T) {
	t.Parallel()
	keys, j, now := newKeys(t, 0)
	_, secret, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
	s := &slow{Journal: j, began: make(chan struct{}, 1), gate: make(chan struct{})}
	there := member(t, s, 0, now.Now)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error)
	go func() { _, err := there.Authenticate(ctx, secret); first <- err }()
	<-s.began
	var others sync.WaitGroup
	for range 32 {
		others.Go(func() {
			if _, err := there.Authenticate(t.Context(), secret); err != nil {
				t.Error(err)
			}
		})
	}
	cancel()
	require.ErrorIs(t, <-first, tenant.ErrUnavailable)
	close(s.gate)
	done := make(chan struct{})
	go func() { others.Wait(); close(done) }()
	for {
		select {
		case <-s.began: // somebody who came when that look had ended
		case <-done:
			return
		}
	}
}

func TestMetricsTellWhatKeysWereWorth(t *testing.T) {
	t.Parallel()
	_, j, now := newKeys(t, 0)
	registry := prometheus.NewRegistry()
	keys, err := tenant.New(tenant.Options{Journal: j, Now: now.Now, Registerer: registry})
	require.NoError(t, err)
	_, secret, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
	for _, s := range []string{secret, secret, "lk_", "x"} {
		_, _ = keys.Authenticate(t.Context(), s)
	}
	families, err := registry.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	require.Equal(t, "latchkey_tenant_authentications_total", families[0].GetName())
	counts := map[string]float64{}
	for _, m := range families[0].Metric {
		counts[m.Label[0].GetValue()] = m.Counter.GetValue()
	}
	require.Equal(t, map[string]float64{"good": 2, "mistyped": 1, "invalid": 1, "expired": 0, "failed": 0, "revoked": 0}, counts)
}
