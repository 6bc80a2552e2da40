package verify_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/named"
	"github.com/latchkey/latchkey/tenant"
)

// namesOfRequests writes a journal with requests that have names: of an organisation, of users, and one that has changed nothing.
func namesOfRequests(t *testing.T) journal.Journal {
	t.Helper()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	keys, err := tenant.New(tenant.Options{Journal: j})
	require.NoError(t, err)
	people, err := directory.New(directory.Options{Journal: j})
	require.NoError(t, err)
	for _, name := range []string{"n1", "n2"} {
		request := func(of string) *named.Request {
			return &named.Request{By: super, Key: name + of, Hash: []byte(name)}
		}
		_, _, err = keys.Register(named.With(t.Context(), request("o")), super, "acme", "Acme")
		require.NoError(t, err)
		_, _, err = people.FindOrCreate(named.With(t.Context(), request("u")), "acme", directory.Contact{Email: "ann@example.org"}, super)
		require.NoError(t, err)
	}
	require.NoError(t, named.NewNames(j, nil).Begin(t.Context(), &named.Request{By: super, Key: "n3", Hash: []byte("n3")}))
	return j
}

func TestNamesOfRequestsAreUnderstood(t *testing.T) {
	t.Parallel()
	found, summary := check(t, namesOfRequests(t))
	require.Empty(t, found)
	require.Equal(t, 4, summary.Streams)
}

func TestWrongNamesOfRequestsAreFound(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	for says, spoil := range map[string]func(j journal.Journal) error{
		"is missing": func(j journal.Journal) error { // the name is told of and not claimed
			a := journal.Append{Stream: "user/u1", ID: "1"}
			r := &named.Request{By: super, Key: "n9", Hash: []byte("a")}
			a.Records = []journal.NewRecord{{Type: "UserCreated", Time: now, Data: []byte(`{"at":"2026-05-01T10:00:00Z","orgId":"acme","userId":"u1"}`)}}
			if err := r.Join(&a, now); err != nil {
				return err
			}
			a.Index = nil
			_, err := journal.Do(t.Context(), j, a)
			return err
		},
		"which is not there": func(j journal.Journal) error {
			return (&named.Request{By: super, Key: "n9", Hash: []byte("a")}).Keep(t.Context(), j, now, "org/acme", 99)
		},
		"the stream has one record": func(j journal.Journal) error {
			streams, err := j.Streams(t.Context(), named.StreamPrefix, 1)
			if err != nil {
				return err
			}
			a := journal.Append{Stream: streams[0].Name, Expected: 1, ID: "2"}
			if err := (&named.Request{By: super, Key: "n9", Hash: []byte("a")}).Join(&a, now); err != nil {
				return err
			}
			_, err = journal.Do(t.Context(), j, a)
			return err
		},
		"should be the name of a request": func(j journal.Journal) error {
			_, err := journal.Do(t.Context(), j, journal.Append{Stream: "request/x", ID: "3", Records: []journal.NewRecord{{Type: "Else", Time: now, Data: []byte(`{}`)}}})
			return err
		},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			j := namesOfRequests(t)
			require.NoError(t, spoil(j))
			found, _ := check(t, j)
			require.NotEmpty(t, found)
			require.Contains(t, found[0], says)
		})
	}
}
