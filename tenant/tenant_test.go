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

// counted counts the look-ups of a real journal, and can be told to fail them.
type counted struct {
	journal.Journal
	lookups atomic.Int32
	err     error
}

func (c *counted) Claimed(ctx context.Context, kind, key string) (string, error) {
	c.lookups.Add(1)
	if c.err != nil {
		return "", c.err
	}
	return c.Journal.Claimed(ctx, kind, key)
}

func newKeys(t *testing.T, size int) (*tenant.Keys, *counted, *time.Time) {
	t.Helper()
	j := &counted{Journal: memory.New()}
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	keys, err := tenant.New(tenant.Options{Journal: j, CacheSize: size, Now: func() time.Time { return now }})
	require.NoError(t, err)
	return keys, j, &now
}

func TestAKeyTellsItsOrganisation(t *testing.T) {
	t.Parallel()
	keys, _, _ := newKeys(t, 0)
	for _, org := range []lock.OrgID{"hotel-9", "a/b", "Zürich Stays", "hotel-9"} {
		key, err := keys.Create(t.Context(), org)
		require.NoError(t, err)
		require.Regexp(t, `^lk_[0-9A-Za-z]{49}$`, key)
		got, err := keys.Authenticate(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, org, got)
	}
}

func TestABadKeyIsRefusedWithoutALookup(t *testing.T) {
	t.Parallel()
	keys, j, _ := newKeys(t, 0)
	key, err := keys.Create(t.Context(), "hotel-9")
	require.NoError(t, err)
	flipped := []byte(key)
	flipped[10] ^= 1
	for _, bad := range []string{"", "lk_", key[:len(key)-1], key + "0", strings.ToLower(key), " " + key, string(flipped), strings.Repeat("x", len(key)), "lx" + key[2:]} {
		_, err := keys.Authenticate(t.Context(), bad)
		requireUnauthentic(t, err)
	}
	require.Zero(t, j.lookups.Load())
}

func TestAKeyOfAnotherServerIsRefused(t *testing.T) {
	t.Parallel()
	others, _, _ := newKeys(t, 0)
	key, err := others.Create(t.Context(), "hotel-9")
	require.NoError(t, err)
	keys, j, _ := newKeys(t, 0)
	_, err = keys.Authenticate(t.Context(), key)
	requireUnauthentic(t, err)
	require.EqualValues(t, 1, j.lookups.Load())
}

func TestTheCacheIsShortAndBounded(t *testing.T) {
	t.Parallel()
	keys, j, now := newKeys(t, 2)
	var made []string
	for range 3 {
		key, err := keys.Create(t.Context(), "hotel-9")
		require.NoError(t, err)
		made = append(made, key)
	}
	authenticate := func(i int) {
		_, err := keys.Authenticate(t.Context(), made[i])
		require.NoError(t, err)
	}
	authenticate(0)
	authenticate(0)
	require.EqualValues(t, 1, j.lookups.Load(), "the second comes from the cache")
	authenticate(1)
	authenticate(2)
	authenticate(0)
	require.EqualValues(t, 4, j.lookups.Load(), "the first was pushed out")
	*now = now.Add(time.Second)
	authenticate(0)
	require.EqualValues(t, 5, j.lookups.Load(), "a second later it is looked up again")
}

func TestABrokenJournalIsNotABadKey(t *testing.T) {
	t.Parallel()
	keys, j, _ := newKeys(t, 0)
	key, err := keys.Create(t.Context(), "hotel-9")
	require.NoError(t, err)
	j.err = journal.ErrFailed
	_, err = keys.Authenticate(t.Context(), key)
	require.ErrorIs(t, err, journal.ErrFailed)
	var rejection *lock.Error
	require.False(t, errors.As(err, &rejection))
}

func TestNoSecretIsStored(t *testing.T) {
	t.Parallel()
	keys, j, now := newKeys(t, 0)
	key, err := keys.Create(t.Context(), "hotel-9")
	require.NoError(t, err)
	records, err := j.Read(t.Context(), "org/hotel-9", 0, 10)
	require.NoError(t, err)
	require.Len(t, records, 1)
	require.Equal(t, "ApiKeyCreated", records[0].Type)
	require.True(t, now.Equal(records[0].Time))
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
			key, err := keys.Create(t.Context(), "hotel-9")
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
		_, err := keys.Create(t.Context(), org)
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
	_, err = tenant.New(tenant.Options{Journal: memory.New(), CacheSize: -1})
	require.Error(t, err)
}

func FuzzAuthenticate(f *testing.F) {
	j := memory.New()
	keys, err := tenant.New(tenant.Options{Journal: j})
	require.NoError(f, err)
	f.Add("lk_0123456789012345678901234567890123456789012345678")
	f.Add("")
	f.Fuzz(func(t *testing.T, key string) {
		_, err := keys.Authenticate(t.Context(), key)
		requireUnauthentic(t, err)
	})
}

func requireUnauthentic(t *testing.T, err error) {
	t.Helper()
	var rejection *lock.Error
	require.ErrorAs(t, err, &rejection)
	require.Equal(t, lock.Unauthentic, rejection.Kind)
	require.Equal(t, "api-key-invalid", rejection.Reason)
}
