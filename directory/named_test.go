package directory

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

func under(ctx context.Context, key, body string) context.Context {
	return named.With(ctx, &named.Request{By: lock.Caller{OrgID: "acme"}, Key: key, Hash: []byte(body)})
}

func TestANamedRequestGetsItsUserAsThenAgain(t *testing.T) {
	t.Parallel()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	d, err := New(Options{Journal: j, Now: func() time.Time { return time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC) }})
	require.NoError(t, err)
	find := func(key, body string, c Contact) (User, bool) {
		t.Helper()
		user, created, err := d.FindOrCreate(under(t.Context(), key, body), "acme", c, lock.Caller{OrgID: "acme"})
		require.NoError(t, err)
		return user, created
	}
	kim := Contact{Email: "kim@example.org"}
	first, created := find("n1", "a", kim)
	require.True(t, created)
	found, created := find("n2", "b", kim) // changes nothing
	require.False(t, created)
	require.Equal(t, first, found)
	phoned, created := find("n3", "c", Contact{Email: kim.Email, Phone: "+49 30 901820"})
	require.False(t, created)
	require.NotEmpty(t, phoned.Phone)
	for range 2 {
		again, created := find("n1", "a", kim)
		require.True(t, created)
		require.Equal(t, first, again, "as it was then")
		again, created = find("n2", "b", kim)
		require.False(t, created)
		require.Equal(t, found, again)
		again, created = find("n3", "c", kim)
		require.False(t, created)
		require.Equal(t, phoned, again)
	}
	for _, name := range []string{"n1", "n2", "n3"} {
		_, _, err := d.FindOrCreate(under(t.Context(), name, "z"), "acme", Contact{Email: "lou@example.org"}, lock.Caller{OrgID: "acme"})
		require.ErrorIs(t, err, lock.ErrKeyReused)
	}
	_, err = d.Find(t.Context(), "acme", Contact{Email: "lou@example.org"})
	require.Error(t, err, "nobody was made")

	// Finding somebody often makes nothing longer that others have to read.
	for i := range 50 {
		find(string(rune('A'+i)), "b", kim)
	}
	records, err := j.Read(t.Context(), streamPrefix+string(first.ID), 0, 100)
	require.NoError(t, err)
	require.Len(t, records, 4)
}

func TestMembersMakeOneUserForAName(t *testing.T) {
	t.Parallel()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	var mu sync.Mutex
	users, made := map[lock.UserID]bool{}, 0
	var all sync.WaitGroup
	for range 4 {
		d, err := New(Options{Journal: j})
		require.NoError(t, err)
		all.Go(func() {
			user, created, err := d.FindOrCreate(under(t.Context(), "n1", "a"), "acme", Contact{Email: "kim@example.org"}, lock.Caller{OrgID: "acme"})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if users[user.ID] = true; created {
				made++
			}
		})
	}
	all.Wait()
	require.Len(t, users, 1)
	require.Equal(t, 4, made, "all get the answer of the one")
}

// A name that is known by its user only, from before, may be of a request to another organisation: nobody learns whom that has led to.
func TestANameNeverTellsOfAnotherOrganization(t *testing.T) {
	t.Parallel()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	d, err := New(Options{Journal: j})
	require.NoError(t, err)
	kim := Contact{Email: "kim@example.org"}
	first, _, err := d.FindOrCreate(t.Context(), "acme", kim, lock.Caller{OrgID: "acme"})
	require.NoError(t, err)
	m := named.Remembered{At: d.now(), Mark: named.Mark{Of: "user:ann", Key: "n1", Hash: []byte("a")}, Stream: streamPrefix + string(first.ID), Version: 1}
	data, err := json.Marshal(m)
	require.NoError(t, err)
	_, err = journal.Do(t.Context(), j, journal.Append{
		Stream: named.StreamPrefix + "1", ID: "1", Index: m.Claims(m.At), Records: []journal.NewRecord{{Type: named.RecordType, Time: m.At, Data: data}},
	})
	require.NoError(t, err)
	for org, replayed := range map[lock.OrgID]bool{"acme": true, "umbrella": false} {
		by := lock.Caller{OrgID: org, UserID: "ann"}
		request := &named.Request{By: by, Key: "n1", Hash: []byte("a")}
		user, created, err := d.FindOrCreate(named.With(t.Context(), request), org, kim, by)
		require.NoError(t, err)
		require.Equal(t, replayed, request.Replayed)
		require.Equal(t, replayed, user.ID == first.ID)
		require.Equal(t, !replayed, created, "the other organisation gets a user of its own")
	}
}
