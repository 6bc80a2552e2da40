package lock

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestArchiveIsAListOfRequests holds the archive against a list that is sorted by version, whatever ends in which order.
func TestArchiveIsAListOfRequests(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var a archive
		var want []*request
		text := rapid.StringN(0, 40, -1)
		ids := rapid.SampledFrom([]RequestID{"a", "b", "c", "costarring", "liquid", ""})
		require.Equal(t, tagOf("costarring"), tagOf("liquid"), "so that two IDs are told apart by more than that")
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				at := noon.Add(time.Duration(rapid.IntRange(-1e6, 1e6).Draw(t, "at")) * time.Millisecond)
				words, flags := text.Draw(t, "words"), rapid.Byte().Draw(t, "flags")
				r := &request{
					ID: ids.Draw(t, "id"), CommandID: CommandID("c" + words), TempKeyID: TempKeyID("k" + words), By: "b" + words, OrgID: OrgID("o" + words),
					UserID: UserID("u" + words), Why: words, Outcome: Outcome("x" + words), Reason: "r" + words, Message: words + words,
					At: at, Deadline: at.Add(time.Duration(rapid.IntRange(-5, 60_000).Draw(t, "wait")) * time.Millisecond),
					Version: rapid.Uint64().Draw(t, "version"), Offline: flags&1 != 0, Joined: flags&2 != 0,
					DeadlineEnforced: flags&4 != 0, UseReturned: flags&8 != 0, KeyDeleted: flags&16 != 0,
				}
				a.add(r)
				want = append(want, r)
				slices.SortStableFunc(want, func(a, b *request) int { return cmp.Compare(a.Version, b.Version) })
			},
			"drop": func(t *rapid.T) {
				if len(want) > 0 {
					a.drop()
					want = want[1:]
				}
			},
			"remove": func(t *rapid.T) {
				if len(want) > 0 {
					i := rapid.IntRange(0, len(want)-1).Draw(t, "which")
					version := want[i].Version
					if i > 0 && want[i-1].Version == version || i+1 < len(want) && want[i+1].Version == version {
						return // a stream has a version once
					}
					a.remove(a.place(version))
					require.Negative(t, a.place(version))
					want = slices.Delete(want, i, i+1)
				}
			},
			"give back": func(t *rapid.T) {
				if len(want) > 0 {
					r := rapid.SampledFrom(want).Draw(t, "request")
					a.giveBack(r.ID, r.CommandID)
					for _, same := range want {
						same.UseReturned = same.UseReturned || same.ID == r.ID && same.CommandID == r.CommandID
					}
				}
			},
			"": func(t *rapid.T) {
				all := a.all()
				if len(all) != len(want) || a.len() != len(want) {
					t.Fatalf("%d entries, and %d are told, instead of %d", a.len(), len(all), len(want))
				}
				for i := range want {
					same(t, want[i], all[i])
				}
				if len(want) > 0 {
					if version, at := a.first(); version != want[0].Version || at != want[0].At {
						t.Fatalf("the first is version %d of %v, and not %+v", version, at, want[0])
					}
				}
				newest := map[RequestID]*request{}
				for _, r := range want {
					newest[r.ID] = r
				}
				for _, id := range []RequestID{"a", "b", "c", "costarring", "liquid", "", "other"} {
					same(t, newest[id], a.find(id))
				}
			},
		})
	})
}

// same compares without reflection, since it is called a million times.
func same(t *rapid.T, want, got *request) {
	if (want == nil) != (got == nil) || want != nil && *want != *got {
		t.Fatalf("%+v, and not %+v", got, want)
	}
}

// BenchmarkRequestIsNew is what each open pays for the requests of the day before it.
func BenchmarkRequestIsNew(b *testing.B) {
	for _, n := range []int{16, 256, requestsMax} {
		b.Run(fmt.Sprintf("remembered=%d", n), func(b *testing.B) {
			var l requestLog
			for i := range n {
				l.ended.add(&request{ID: benchOpen(i, 1).RequestID, Version: uint64(i), At: noon})
			}
			id := benchOpen(n, 1).RequestID
			for b.Loop() {
				if l.find(id) != nil {
					b.Fatal("it is new")
				}
			}
		})
	}
}
