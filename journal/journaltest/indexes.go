package journaltest

import (
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

// indexed is an append of one record with index changes.
func indexed(stream string, expected uint64, changes ...journal.IndexChange) journal.Append {
	a := event(stream, expected, 1)
	a.Index = changes
	return a
}

func claim(kind, key string) journal.IndexChange {
	return journal.IndexChange{Op: journal.Claim, Kind: kind, Key: key}
}

func newClaim(kind, key string) journal.IndexChange {
	return journal.IndexChange{Op: journal.Claim, New: true, Kind: kind, Key: key}
}

func put(kind, key, ref string) journal.IndexChange {
	return journal.IndexChange{Op: journal.Put, Kind: kind, Key: key, Ref: ref}
}

func remove(kind, key, ref string) journal.IndexChange {
	return journal.IndexChange{Op: journal.Remove, Kind: kind, Key: key, Ref: ref}
}

func (s *suite) holder(want, kind, key string) {
	s.Helper()
	stream, err := s.Claimed(s.ctx(), kind, key)
	require.NoError(s, err)
	require.Equal(s, want, stream)
}

func (s *suite) claims() {
	s.holder("", "device", "x")
	s.add(indexed("a", 0, claim("device", "x"), claim("device", "y")))
	s.holder("a", "device", "x")
	s.holder("", "temp-key", "x") // another kind is another claim
	s.add(indexed("a", 1, claim("device", "x")))
	s.add(indexed("b", 0, claim("temp-key", "x")))

	var taken *journal.ClaimError
	require.ErrorAs(s, s.refuse(indexed("b", 1, claim("device", "x"))), &taken)
	require.Equal(s, &journal.ClaimError{Kind: "device", Key: "x", Stream: "a"}, taken)
	s.restarted()
	s.holder("a", "device", "x")
	s.holder("a", "device", "y")
	s.holder("b", "temp-key", "x")
}

func (s *suite) claimIsAtomic() {
	s.add(indexed("a", 0, claim("device", "x")))
	var taken *journal.ClaimError
	require.ErrorAs(s, s.refuse(indexed("b", 0, put("k", "k", "r"), claim("device", "free"), claim("device", "x"))), &taken)
	s.holder("", "device", "free")
	entries, err := s.Entries(s.ctx(), "k", "k", "", 10)
	require.NoError(s, err)
	require.Empty(s, entries)
	version, _, err := s.Head(s.ctx(), "b")
	require.NoError(s, err)
	require.Zero(s, version)
	s.add(indexed("c", 0, claim("device", "free")))
	require.Len(s, s.all(), 2)
}

// claimBesideOthers refuses an append in the middle of a batch: of its claims those stay that its stream held before.
func (s *suite) claimBesideOthers() {
	s.add(indexed("a", 0, claim("device", "a1")))
	s.add(indexed("b", 0, claim("device", "b1")))
	var taken *journal.ClaimError
	for _, a := range s.submit(
		indexed("c", 0, claim("device", "c1"), claim("device", "c1")),
		indexed("b", 1, claim("device", "b1"), claim("device", "free"), claim("device", "a1"), claim("device", "free too")),
		indexed("d", 0, claim("device", "new"), claim("device", "b1")),
		indexed("e", 0, claim("device", "free")),
		indexed("a", 1, claim("device", "a1"), claim("device", "a2")),
	) {
		if a.of == 1 || a.of == 2 {
			require.ErrorAs(s, a.Err, &taken)
			continue
		}
		require.NoError(s, a.Err)
	}
	for key, want := range map[string]string{"a1": "a", "a2": "a", "b1": "b", "c1": "c", "free": "e", "free too": "", "new": ""} {
		s.holder(want, "device", key)
	}
	s.add(indexed("d", 0, claim("device", "new")))
	s.restarted()
	s.holder("d", "device", "new")
	s.holder("c", "device", "c1")
	require.Len(s, s.all(), 6)
}

func (s *suite) claimRace() {
	var appends []journal.Append
	for i := range 200 {
		appends = append(appends, indexed(fmt.Sprint("s", i), 0, claim("device", fmt.Sprint(i/4))))
	}
	for _, a := range s.submit(appends...) {
		if a.of%4 == 0 { // the first of the four that want the same
			require.NoError(s, a.Err)
			continue
		}
		var taken *journal.ClaimError
		require.True(s, errors.As(a.Err, &taken))
		require.Equal(s, fmt.Sprint("s", a.of/4*4), taken.Stream)
	}
	require.Len(s, s.all(), 50)
}

func (s *suite) newClaim() {
	s.add(indexed("a", 0, newClaim("temp-key", "x"), newClaim("temp-key", "y"), newClaim("temp-key", "y"))) // twice is once
	s.add(indexed("a", 1, claim("temp-key", "old")))
	for range 2 {
		for _, key := range []string{"x", "y", "old"} {
			var taken *journal.ClaimError
			require.ErrorAs(s, s.refuse(indexed("a", 2, newClaim("temp-key", "free"), put("k", "k", "r"), newClaim("temp-key", key))), &taken)
			require.Equal(s, &journal.ClaimError{Kind: "temp-key", Key: key, Stream: "a"}, taken)
			require.ErrorAs(s, s.refuse(indexed("b", 0, newClaim("temp-key", key))), &taken)
			require.Equal(s, "a", taken.Stream)
		}
		s.holder("", "temp-key", "free")
		s.holder("a", "temp-key", "x")
		s.restarted()
	}
	s.add(indexed("a", 2, claim("temp-key", "x"))) // which need not be new
	s.add(indexed("b", 0, newClaim("device", "x"), newClaim("temp-key", "free")))
	require.Len(s, s.all(), 4)
}

// newClaimBesideOthers has the appends of one batch claim the same: of one stream, of two, and more than once in one append.
func (s *suite) newClaimBesideOthers() {
	s.add(indexed("a", 0, newClaim("temp-key", "gone")))
	s.add(event("b", 0, 1))
	want := []string{"", "a", "", "conflict", "a", "", "a", "", ""} // who holds what was wanted
	for _, a := range s.submit(
		indexed("a", 1, newClaim("temp-key", "1"), newClaim("temp-key", "2")),
		indexed("a", 2, newClaim("temp-key", "3"), newClaim("temp-key", "2")),
		indexed("a", 2, claim("temp-key", "2"), newClaim("temp-key", "3")),
		indexed("a", 4, newClaim("temp-key", "4")),
		indexed("a", 3, newClaim("temp-key", "gone")),
		indexed("a", 3, newClaim("temp-key", "4")),
		indexed("b", 1, newClaim("temp-key", "5"), newClaim("temp-key", "2")),
		indexed("b", 1, newClaim("temp-key", "5")),
		indexed("b", 2, claim("temp-key", "5")),
	) {
		var taken *journal.ClaimError
		switch want[a.of] {
		case "":
			require.NoError(s, a.Err, a.of)
		case "conflict":
			require.ErrorIs(s, a.Err, journal.ErrConflict)
		default:
			require.ErrorAs(s, a.Err, &taken, a.of)
			require.Equal(s, want[a.of], taken.Stream)
		}
	}
	for key, want := range map[string]string{"1": "a", "2": "a", "3": "a", "4": "a", "5": "b", "gone": "a"} {
		s.holder(want, "temp-key", key)
	}
	require.Len(s, s.all(), 7)
}

// newClaimOfTheStale appends to a version that has passed what the stream has claimed since: the caller has to read it first.
func (s *suite) newClaimOfTheStale() {
	s.add(event("a", 0, 1))
	s.add(indexed("a", 1, newClaim("temp-key", "x")))
	require.ErrorIs(s, s.refuse(indexed("a", 1, newClaim("temp-key", "x"))), journal.ErrConflict)
	require.ErrorIs(s, s.refuse(indexed("a", 0, newClaim("temp-key", "x"))), journal.ErrConflict)
	for _, a := range s.submit(indexed("b", 0, claim("temp-key", "x")), indexed("a", 1, newClaim("temp-key", "x")), event("a", 2, 1)) {
		var taken *journal.ClaimError
		switch a.of {
		case 0:
			require.ErrorAs(s, a.Err, &taken)
		case 1:
			require.ErrorIs(s, a.Err, journal.ErrConflict)
		default:
			require.NoError(s, a.Err)
		}
	}
}

func (s *suite) entries() {
	list := func(after string, limit int) (found []journal.Entry) {
		s.Helper()
		found, err := s.Entries(s.ctx(), "by-creator", "ann", after, limit)
		require.NoError(s, err)
		return found
	}
	require.Empty(s, list("", 10))
	s.add(indexed("a", 0, put("by-creator", "ann", "k3"), put("by-creator", "ann", "k1"), put("by-creator", "bob", "k9")))
	s.add(indexed("b", 0, put("by-creator", "ann", "k2"), put("by-creator", "ann", "k4"), put("by-lock", "ann", "k7")))
	s.add(indexed("b", 1, put("by-creator", "ann", "k4"))) // again: no error, no second entry
	require.Equal(s, []journal.Entry{{Ref: "k1", Stream: "a"}, {Ref: "k2", Stream: "b"}, {Ref: "k3", Stream: "a"}}, list("", 3))
	require.Equal(s, []journal.Entry{{Ref: "k4", Stream: "b"}}, list("k3", 3))
	require.Empty(s, list("", 0))

	s.add(indexed("a", 1, remove("by-creator", "ann", "k1"), remove("by-creator", "ann", "never"), remove("by-creator", "ann", "k2")))
	s.restarted()
	want := []journal.Entry{{Ref: "k2", Stream: "b"}, {Ref: "k3", Stream: "a"}, {Ref: "k4", Stream: "b"}}
	require.Equal(s, want, list("", 10), "k2 is not a's to remove")

	s.add(indexed("a", 2, put("by-creator", "ann", "k2"), remove("by-creator", "ann", "k3"), put("by-creator", "ann", "k3")))
	want[0].Stream = "a"
	require.Equal(s, want, list("", 10), "changes apply in order, the last put wins")
}

func (s *suite) conflictKeepsIndex() {
	s.add(indexed("a", 0, put("k", "k", "r1")))
	require.ErrorIs(s, s.refuse(indexed("a", 0, claim("device", "x"), put("k", "k", "r2"), remove("k", "k", "r1"))), journal.ErrConflict)
	s.holder("", "device", "x")
	entries, err := s.Entries(s.ctx(), "k", "k", "", 10)
	require.NoError(s, err)
	require.Equal(s, []journal.Entry{{Ref: "r1", Stream: "a"}}, entries)
}
