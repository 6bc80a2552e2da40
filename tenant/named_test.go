package tenant

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

func under(ctx context.Context, key, body string) context.Context {
	return named.With(ctx, &named.Request{By: lock.Caller{Super: true}, Key: key, Hash: []byte(body)})
}

// Members of a cluster that carry the same request out at the same time make one key, and only the one that made it knows its secret.
func TestMembersMakeOneKeyForAName(t *testing.T) {
	t.Parallel()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	super := lock.Caller{Super: true}
	const members, names = 4, 100
	var keys []*Keys
	for range members {
		k, err := New(Options{Journal: j})
		require.NoError(t, err)
		keys = append(keys, k)
	}
	for n := range names {
		ids, secrets := make([]string, members), make([]string, members)
		var all sync.WaitGroup
		for i, k := range keys {
			all.Go(func() {
				key, secret, err := k.Create(under(t.Context(), fmt.Sprint("n", n), "a"), super, lock.OrgID(fmt.Sprint("hotel-", n%10)), NewKey{Name: "PMS"})
				if err != nil {
					t.Error(err)
				}
				ids[i], secrets[i] = key.ID, secret
			})
		}
		all.Wait()
		slices.Sort(secrets)
		require.Equal(t, slices.Repeat(ids[:1], members), ids)
		require.Equal(t, []string{"", "", ""}, secrets[:members-1])
		require.NotEmpty(t, secrets[members-1], "it is told once")
	}
}

// What a request is answered with is what was so then.
func TestANamedRequestIsAnsweredAsItWas(t *testing.T) {
	t.Parallel()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	k, err := New(Options{Journal: j, Now: func() time.Time { return now }})
	require.NoError(t, err)
	super := lock.Caller{Super: true}
	register := func(key, body, name string) (Organization, bool) {
		o, created, err := k.Register(under(t.Context(), key, body), super, "hotel", name)
		require.NoError(t, err)
		return o, created
	}
	first, created := register("n1", "a", "Hotel")
	require.True(t, created)
	same, created := register("n2", "b", "Hotel") // changes nothing
	require.False(t, created)
	now = now.Add(time.Hour)
	register("n3", "c", "Grand Hotel")
	again, created := register("n1", "a", "Hotel")
	require.True(t, created)
	require.Equal(t, first, again)
	again, created = register("n2", "b", "Hotel")
	require.False(t, created)
	require.Equal(t, same, again)
	o, err := k.Organization(t.Context(), "hotel")
	require.NoError(t, err)
	require.Equal(t, "Grand Hotel", o.Name, "and it is not named back")
	_, _, err = k.Register(under(t.Context(), "n1", "z"), super, "hostel", "Hotel")
	require.ErrorIs(t, err, lock.ErrKeyReused, "of another organisation, too")

	key, secret, err := k.Create(under(t.Context(), "k1", "a"), super, "hotel", NewKey{ExpiresAt: new(now.Add(time.Hour))})
	require.NoError(t, err)
	require.NotEmpty(t, secret)
	revoked, err := k.Revoke(under(t.Context(), "r1", "a"), super, "hotel", key.ID)
	require.NoError(t, err)
	now = now.Add(2 * time.Hour) // it has expired meanwhile
	told, secret, err := k.Create(under(t.Context(), "k1", "a"), super, "hotel", NewKey{ExpiresAt: new(key.ExpiresAt)})
	require.NoError(t, err)
	require.Empty(t, secret)
	require.Equal(t, key, told)
	for _, name := range []string{"r1", "r2", "r2"} {
		also, err := k.Revoke(under(t.Context(), name, name), super, "hotel", key.ID)
		if name == "r1" {
			require.ErrorIs(t, err, lock.ErrKeyReused)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, revoked, also)
	}
	rotated, _, err := k.Create(t.Context(), super, "hotel", NewKey{Name: "PMS"})
	require.NoError(t, err)
	next, secret, err := k.Rotate(under(t.Context(), "o1", "a"), super, "hotel", rotated.ID, time.Minute)
	require.NoError(t, err)
	require.NotEmpty(t, secret)
	now = now.Add(time.Hour) // the grace is over: without its name the request would be refused
	told, secret, err = k.Rotate(under(t.Context(), "o1", "a"), super, "hotel", rotated.ID, time.Minute)
	require.NoError(t, err)
	require.Empty(t, secret)
	require.Equal(t, next, told)
}

// Names that turn text were good once. Nothing new is made under one, but what was is still listed, rotated and revoked.
func TestTheKeysOfANameFromBefore(t *testing.T) {
	t.Parallel()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	k, err := New(Options{Journal: j})
	require.NoError(t, err)
	super, now := lock.Caller{Super: true}, time.Now()
	for _, org := range []lock.OrgID{"hotel\u202e", "hotel\u2028"} {
		event := &KeyCreated{Stamp: stampOf(super, org, now), Name: "PMS", Scopes: AllScopes()}
		secret := event.mint()
		done, err := k.change(t.Context(), super, org, now, func(*organization) ([]Event, error) { return []Event{event}, nil })
		key, _, err := done.newKey(event, secret, err)
		require.NoError(t, err)

		_, err = k.Organization(t.Context(), org)
		require.NoError(t, err)
		next, _, err := k.Rotate(t.Context(), super, org, key.ID, time.Hour)
		require.NoError(t, err)
		for _, id := range []string{key.ID, next.ID} {
			_, err = k.Revoke(t.Context(), super, org, id)
			require.NoError(t, err)
		}
		keys, err := k.List(t.Context(), org)
		require.NoError(t, err)
		require.Len(t, keys, 2)
		for i := range keys {
			require.Equal(t, Revoked, keys[i].Status(now))
		}

		var e *lock.Error
		_, _, err = k.Create(t.Context(), super, org, NewKey{Name: "PMS"})
		require.ErrorAs(t, err, &e)
		require.Equal(t, "org-id-invalid", e.Reason)
		_, _, err = k.Register(t.Context(), super, org, "")
		require.ErrorAs(t, err, &e)
		require.Equal(t, "org-id-invalid", e.Reason)
	}
	all, err := k.Organizations(t.Context(), "", 10)
	require.NoError(t, err)
	require.Len(t, all, 2)
}
