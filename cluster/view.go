package cluster

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	lru "github.com/hashicorp/golang-lru/v2"
)

// maxCachedPIDs bounds what a view remembers about grains on other nodes; the least used are asked for again.
const maxCachedPIDs = 1 << 17

// A view is what this node knows about the cluster at one time. It never changes: a new membership makes a new view. The
// addresses of grains on other nodes that were learned under a view die with it.
type view struct {
	number  uint64    // counts the views of this node
	members []Member  // by ID
	moved   time.Time // when grains were last other members' than before
	owners  map[string][]candidate
	pids    *lru.Cache[grainKey, *actor.PID]
}

// candidate is a member that runs grains of a kind.
type candidate struct {
	seed   uint64 // the hash of its ID
	member *Member
}

type grainKey struct{ kind, identity string }

// newView wants the members by ID and keeps them.
func newView(members []Member) *view {
	pids, err := lru.New[grainKey, *actor.PID](maxCachedPIDs)
	if err != nil {
		panic(err) // only a size below one is an error
	}
	v := &view{members: members, owners: map[string][]candidate{}, pids: pids}
	for i := range members {
		m := &members[i]
		for _, kind := range m.Kinds {
			v.owners[kind] = append(v.owners[kind], candidate{seed: hash(m.ID), member: m})
		}
	}
	return v
}

// owns tells whether an identity of a kind is this node's.
func (v *view) owns(kind string, h uint64) bool {
	owner := v.owner(kind, h)
	return owner != nil && owner.Self
}

// owner returns the member that owns an identity by its hash: the one of the highest score (rendezvous hashing), so that a
// member that joins or leaves moves only its own share. It is nil when no member runs the kind.
func (v *view) owner(kind string, h uint64) *Member {
	candidates := v.owners[kind]
	if len(candidates) == 1 {
		return candidates[0].member
	}
	var best *Member
	var highest uint64
	for _, c := range candidates {
		if score := mix(h ^ c.seed); best == nil || score > highest {
			best, highest = c.member, score // of equal scores the first by ID wins, on every node
		}
	}
	return best
}

// hash is FNV-1a with a finalizer, since the bits of FNV alone are too regular to compare as scores. Every node must compute
// the same, so it is neither seeded nor left to a library's next version.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// mix is the finalizer of SplitMix64: every bit of the input changes every bit of the output with a chance of one half.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
