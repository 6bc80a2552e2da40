package lock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Whoever shows two credentials is neither of their holders alone: each of them has names of their own.
func TestEachCallerHasNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	scopes := map[string]bool{}
	for _, c := range []Caller{
		{}, {Super: true}, {OrgID: "a"}, {OrgID: "b"}, {UserID: "a"}, {OrgID: "a", UserID: "a"}, {OrgID: "b", UserID: "a"}, {OrgID: "a", UserID: "b"},
		{Super: true, UserID: "a"}, {UserID: `a" with org "b`}, {OrgID: `b" with org "c`, UserID: "a"}, {OrgID: "c", UserID: `a" with org "b`},
	} {
		require.False(t, scopes[c.Scope()], "%+v has the names of somebody else", c)
		scopes[c.Scope()] = true
	}
}

func TestAUserWithAKeyAndTheSameUserAreTwoCallers(t *testing.T) {
	t.Parallel()
	w := newOnceWorld(t)
	ann, both := Caller{UserID: "ann"}, Caller{OrgID: "acme", UserID: "ann"}
	_, err := w.do("first", "a", both, &SetOwner{By: both, UserID: "ann"}, noon)
	require.NoError(t, err)
	for i, by := range []Caller{both, ann, {OrgID: "acme"}} {
		key := &CreateTempKey{By: by, UUID: name(i + 1), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour)}
		d, err := w.do("k", "s", by, key, noon)
		require.NoError(t, err)
		require.Len(t, d.Events, 2, "it is carried out for each of them")
		d, err = w.do("k", "s", by, key, noon)
		require.NoError(t, err)
		require.Empty(t, d.Events)
		require.True(t, d.Reply.(*Done).Replayed)
	}
}

// A lock that remembers a name from before knows its user only. The same request is answered as before; another one may be another
// caller's, and is carried out.
func TestANameFromBeforeIsOfItsRequest(t *testing.T) {
	t.Parallel()
	w, both := newOnceWorld(t), Caller{OrgID: "acme", UserID: "ann"}
	Evolve(w.s, &OwnerSet{Stamp: Stamp{At: noon}, UserID: "ann"})
	Evolve(w.s, &RequestRemembered{Stamp: Stamp{At: noon}, Key: "k", Of: "user:ann", Hash: hash("a"), Version: 2, Event: 2})
	set := &SetOwner{By: both, UserID: "ann"}
	d, err := w.do("k", "a", both, set, noon.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, &Done{Version: 2, Replayed: true, EventVersion: 2}, d.Reply)
	eve := Caller{OrgID: "umbrella", UserID: "eve"}
	_, err = w.do("k", "a", eve, &SetOwner{By: eve, UserID: "eve"}, noon.Add(time.Hour))
	require.Equal(t, NotFound, err.(*Error).Kind, "nobody else has it")
	d, err = w.do("k", "b", both, set, noon.Add(time.Hour))
	require.NoError(t, err)
	require.Len(t, d.Events, 1)
	_, err = w.do("k", "c", both, set, noon.Add(time.Hour))
	require.ErrorIs(t, err, ErrKeyReused, "now it is theirs")
}
