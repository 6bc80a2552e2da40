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
		text, flag := rapid.StringN(0, 40, -1), rapid.Bool()
		ids := rapid.SampledFrom([]RequestID{"a", "b", "c", "costarring", "liquid", ""})
		require.Equal(t, tagOf("costarring"), tagOf("liquid"), "so that two IDs are told apart by more than that")
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				at := noon.Add(time.Duration(rapid.IntRange(-1e6, 1e6).Draw(t, "at")) * time.Millisecond)
				r := &request{
					ID: ids.Draw(t, "id"), CommandID: CommandID(text.Draw(t, "command")), TempKeyID: TempKeyID(text.Draw(t, "key")),
					By: text.Draw(t, "by"), OrgID: OrgID(text.Draw(t, "org")), UserID: UserID(text.Draw(t, "user")), Why: text.Draw(t, "why"),
					At: at, Deadline: at.Add(time.Duration(rapid.IntRange(-5, 60_000).Draw(t, "wait")) * time.Millisecond),
					Version: rapid.Uint64().Draw(t, "version"), Offline: flag.Draw(t, "offline"), Joined: flag.Draw(t, "joined"),
					Outcome: Outcome(text.Draw(t, "outcome")), Reason: text.Draw(t, "reason"), Message: text.Draw(t, "message"),
					DeadlineEnforced: flag.Draw(t, "enforced"), UseReturned: flag.Draw(t, "returned"), KeyDeleted: flag.Draw(t, "deleted"),
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
				require.Equal(t, len(want), a.len())
				if len(want) > 0 {
					require.Equal(t, want, a.all())
					version, at := a.first()
					require.Equal(t, want[0].Version, version)
					require.Equal(t, want[0].At, at)
				}
				newest := map[RequestID]*request{}
				for _, r := range want {
					newest[r.ID] = r
				}
				for _, id := range []RequestID{"a", "b", "c", "costarring", "liquid", "", "other"} {
					require.Equal(t, newest[id], a.find(id))
				}
			},
		})
	})
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
