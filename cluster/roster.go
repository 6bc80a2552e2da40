package cluster

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A roster is the list of members as the watch builds it.
type roster struct {
	members  map[string]Member
	suspects map[string]time.Duration // members that etcd does not list, and when they are dropped, by membership.now
}

func newRoster() *roster {
	return &roster{members: map[string]Member{}, suspects: map[string]time.Duration{}}
}

func (r *roster) add(m Member) {
	r.members[m.ID] = m
	delete(r.suspects, m.ID)
}

// remove drops a member, or only suspects it until the grace, if there is one, is over.
func (r *roster) remove(id string, grace time.Duration) {
	if _, known := r.members[id]; known && grace != 0 {
		r.suspects[id] = grace
		return
	}
	r.drop(id)
}

// lists reports whether etcd lists the member.
func (r *roster) lists(id string) bool {
	_, known := r.members[id]
	_, suspected := r.suspects[id]
	return known && !suspected
}

func (r *roster) drop(id string) {
	delete(r.members, id)
	delete(r.suspects, id)
}

// replace takes a complete list over.
func (r *roster) replace(present map[string]Member, grace time.Duration) {
	for id := range r.members {
		if _, ok := present[id]; !ok {
			r.remove(id, grace)
		}
	}
	for _, m := range present {
		r.add(m)
	}
}

// expire drops the suspects whose time is over.
func (r *roster) expire(now time.Duration) {
	for id, until := range r.suspects {
		if now >= until {
			r.drop(id)
		}
	}
}

// nextExpiry is when the next suspect's time is over, zero when there is none.
func (r *roster) nextExpiry() (next time.Duration) {
	for _, until := range r.suspects {
		if next == 0 || until < next {
			next = until
		}
	}
	return next
}

// list returns the members by ID.
func (r *roster) list() []Member {
	return slices.SortedFunc(maps.Values(r.members), func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
}
