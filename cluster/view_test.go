package cluster

import (
	"fmt"
	"hash/fnv"
	"testing"

	"github.com/stretchr/testify/require"
)

func members(n int) []Member {
	out := make([]Member, n)
	for i := range out {
		out[i] = Member{ID: fmt.Sprintf("node-%d", i), Addr: fmt.Sprintf("10.0.0.%d:1", i), Kinds: []string{"lock"}}
	}
	return out
}

// identities look like what platforms number their locks with: a range.
func identities(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(100_000 + i)
	}
	return out
}

func owners(v *view, ids []string) map[string]string {
	out := make(map[string]string, len(ids))
	for _, id := range ids {
		out[id] = v.owner("lock", hash(id)).ID
	}
	return out
}

func TestSharesAreEven(t *testing.T) {
	t.Parallel()
	const locks = 10_000
	for _, nodes := range []int{3, 5, 9} {
		share := map[string]int{}
		for _, owner := range owners(newView(members(nodes)), identities(locks)) {
			share[owner]++
		}
		require.Len(t, share, nodes)
		mean := float64(locks) / float64(nodes)
		for id, n := range share {
			require.InEpsilon(t, mean, n, 0.1, "%d nodes, %s", nodes, id)
		}
	}
}

func TestAMemberMovesOnlyItsShare(t *testing.T) {
	t.Parallel()
	ids := identities(10_000)
	few, many := owners(newView(members(4)), ids), owners(newView(members(5)), ids)
	moved := 0
	for _, id := range ids {
		if few[id] != many[id] {
			require.Equal(t, "node-4", many[id], "a grain moves to the member that joins, and nowhere else")
			moved++
		}
	}
	require.InEpsilon(t, len(ids)/5, moved, 0.1)
}

// TestOwnersAreTheSameOnEveryNode holds the placement against values that must not change: nodes of two versions have to agree.
func TestOwnersAreTheSameOnEveryNode(t *testing.T) {
	t.Parallel()
	require.Equal(t, uint64(0x1003ed40dba5516c), hash("lock"))
	reference := fnv.New64a()
	_, _ = reference.Write([]byte("lock"))
	require.Equal(t, mix(reference.Sum64()), hash("lock"))
	v := newView(members(5))
	var got string
	for _, id := range identities(16) {
		got += v.owner("lock", hash(id)).ID[5:]
	}
	require.Equal(t, "2030213031440033", got)
}

func TestOwnerOfAKindThatNobodyRuns(t *testing.T) {
	t.Parallel()
	require.Nil(t, newView(nil).owner("lock", 1))
	require.Nil(t, newView(members(3)).owner("door", 1))
	one := newView(append(members(3), Member{ID: "z", Kinds: []string{"door"}}))
	require.Equal(t, "z", one.owner("door", 1).ID)
}

func BenchmarkOwner(b *testing.B) {
	v := newView(members(9))
	for b.Loop() {
		v.owner("lock", hash("123456"))
	}
}
