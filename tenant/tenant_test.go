package tenant_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

var operator = lock.Caller{Super: true, Addr: "203.0.113.7"}

// counted counts the look-ups of a real journal, and can be told to fail them.
type counted struct {
	journal.Journal
	lookups atomic.Int32
	err     atomic.Pointer[error]
}

func (c *counted) fail(err error) { c.err.Store(&err) }
func (c *counted) looks() int     { return int(c.lookups.Load()) }
func (c *counted) failing() error {
	c.lookups.Add(1)
	if err := c.err.Load(); err != nil && *err != nil {
		return *err
	}
	return nil
}

func (c *counted) Claimed(ctx context.Context, kind, key string) (string, error) {
	if err := c.failing(); err != nil {
		return "", err
	}
	return c.Journal.Claimed(ctx, kind, key)
}

func (c *counted) Read(ctx context.Context, stream string, after uint64, limit int) ([]journal.Record, error) {
	if err := c.failing(); err != nil {
		return nil, err
	}
	return c.Journal.Read(ctx, stream, after, limit)
}

var start = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

func newKeys(t *testing.T, size int) (*tenant.Keys, *counted, *clock) {
	t.Helper()
	j := &counted{Journal: memory.New()}
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	c := &clock{now: start}
	return member(t, j, size, c.Now), j, c
}

// member is one of a cluster's servers, on the journal that they share.
func member(t *testing.T, j journal.Journal, size int, now func() time.Time) *tenant.Keys {
	t.Helper()
	keys, err := tenant.New(tenant.Options{Journal: j, CacheSize: size, Now: now})
	require.NoError(t, err)
	return keys
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestAKeyTellsItsOrganisation(t *testing.T) {
	t.Parallel()
	keys, _, _ := newKeys(t, 0)
	for _, org := range []lock.OrgID{"hotel-9", "a/b", "Zürich Stays", "hotel-9"} {
		_, key, err := keys.Create(t.Context(), operator, org, tenant.NewKey{})
		require.NoError(t, err)
		require.Regexp(t, `^lk_[0-9A-Za-z]{49}$`, key)
		got, err := keys.Authenticate(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, org, got.OrgID)
		require.Equal(t, key[:9], got.Hint)
		require.Equal(t, tenant.AllScopes(), got.Scopes)
	}
}

func TestAMistypedKeyIsToldWithoutALookup(t *testing.T) {
	t.Parallel()
	keys, j, _ := newKeys(t, 0)
	_, key, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
	before := j.looks()
	for i := 3; i < len(key); i++ {
		typo := []byte(key)
		typo[i] ^= 1
		_, err := keys.Authenticate(t.Context(), string(typo))
		requireUnauthentic(t, err, "api-key-mistyped")
	}
	for _, bad := range []string{"lk_", key[:len(key)-1], key + "0", strings.ToLower(key), key + " "} {
		_, err := keys.Authenticate(t.Context(), bad)
		requireUnauthentic(t, err, "api-key-mistyped")
	}
	for _, bad := range []string{"", " " + key, strings.Repeat("x", len(key)), "lx" + key[2:]} {
		_, err := keys.Authenticate(t.Context(), bad)
		requireUnauthentic(t, err, "api-key-invalid")
	}
	require.Equal(t, before, j.looks())
}

func TestAKeyOfAnotherServerIsRefused(t *testing.T) {
	t.Parallel()
	others, _, _ := newKeys(t, 0)
	_, key, err := others.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
	keys, j, _ := newKeys(t, 0)
	_, err = keys.Authenticate(t.Context(), key)
	requireUnauthentic(t, err, "api-key-invalid")
	require.EqualValues(t, 1, j.looks())
}

func TestABrokenJournalIsNotABadKey(t *testing.T) {
	t.Parallel()
	keys, j, _ := newKeys(t, 0)
	_, key, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
	j.fail(journal.ErrFailed)
	_, err = keys.Authenticate(t.Context(), key)
	require.ErrorIs(t, err, journal.ErrFailed)
	require.ErrorIs(t, err, tenant.ErrUnavailable)
	var rejection *lock.Error
	require.False(t, errors.As(err, &rejection))
}

func TestNoSecretIsStored(t *testing.T) {
	t.Parallel()
	keys, j, now := newKeys(t, 0)
	_, key, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
	require.NoError(t, err)
	records, err := j.Read(t.Context(), "org/hotel-9", 0, 10)
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.Equal(t, "ApiKeyCreated", records[0].Type)
	require.True(t, now.Now().Equal(records[0].Time))
	require.NotContains(t, string(records[0].Data), key[10:])
	require.Contains(t, string(records[0].Data), `"orgId":"hotel-9"`)
}

func TestManyMakeKeysAtOnce(t *testing.T) {
	t.Parallel()
	keys, j, _ := newKeys(t, 0)
	const callers = 16
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range callers {
		wg.Go(func() {
			_, key, err := keys.Create(t.Context(), operator, "hotel-9", tenant.NewKey{})
			var busy *lock.Error
			if errors.As(err, &busy) && busy.Kind == lock.Busy {
				return
			}
			if err == nil {
				_, err = keys.Authenticate(t.Context(), key)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				made++
			} else {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	version, _, err := j.Head(t.Context(), "org/hotel-9")
	require.NoError(t, err)
	require.EqualValues(t, made, version)
	require.Positive(t, made)
}

func TestABadOrganisationIsRefused(t *testing.T) {
	t.Parallel()
	keys, _, _ := newKeys(t, 0)
	for _, org := range []lock.OrgID{"", lock.OrgID(strings.Repeat("x", 801)), "a\nb", "\x00", "\xff"} {
		_, _, err := keys.Create(t.Context(), operator, org, tenant.NewKey{})
		var rejection *lock.Error
		require.ErrorAs(t, err, &rejection)
		require.Equal(t, lock.Invalid, rejection.Kind)
		require.Equal(t, "orgId", rejection.Field)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := tenant.New(tenant.Options{})
	require.Error(t, err)
	j := memory.New()
	t.Cleanup(func() { _ = j.Close() })
	_, err = tenant.New(tenant.Options{Journal: j, CacheSize: -1})
	require.Error(t, err)
}

func FuzzAuthenticate(f *testing.F) {
	j := memory.New()
	f.Cleanup(func() { _ = j.Close() })
	keys, err := tenant.New(tenant.Options{Journal: j})
	require.NoError(f, err)
	f.Add("lk_0123456789012345678901234567890123456789012345678")
	f.Add("")
	f.Fuzz(func(t *testing.T, key string) {
		_, err := keys.Authenticate(t.Context(), key)
		var rejection *lock.Error
		require.ErrorAs(t, err, &rejection)
		require.Equal(t, lock.Unauthentic, rejection.Kind)
	})
}

func requireUnauthentic(t *testing.T, err error, reason string) {
	t.Helper()
	requireRejected(t, err, lock.Unauthentic, reason)
}

func requireRejected(t *testing.T, err error, kind lock.Kind, reason string) {
	t.Helper()
	var rejection *lock.Error
	require.ErrorAs(t, err, &rejection)
	require.Equal(t, reason, rejection.Reason)
	require.Equal(t, kind, rejection.Kind)
}
