package tests

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// Bar: a half-open socket that heals after 20 s, or a minute, moves no motor late. The use comes back, or the open stays unknown until
// the device is back and tells.
func TestHalfOpenSocketNeverOpensLate(t *testing.T) {
	t.Parallel()
	for range dose.Of(1, 50) {
		meetHalfOpenSockets(t)
	}
}

// halfOpen is a network that goes silent before an open, and what comes of that.
type halfOpen struct {
	name    string
	heals   time.Duration // after the open
	deliver bool          // bytes that were on their way arrive although the server has reset the connection
	meets   lock.Outcome  // what the open has become by then; empty: it may be about to become unknown
	ends    lock.Outcome
}

// meetHalfOpenSockets has ten locks meet such networks, two of a kind.
func meetHalfOpenSockets(t *testing.T) {
	t.Helper()
	s := newServer(t)
	late := dose.Lasting(20*time.Second, time.Minute)
	nets := []halfOpen{
		{"heals within the deadline", 1500 * time.Millisecond, false, lock.Sent, lock.Opened},
		{"heals after the deadline", 5500 * time.Millisecond, false, "", lock.Expired},
		{"heals after the reset", 8 * time.Second, false, lock.Unknown, lock.Expired},
		{"heals late", late, false, lock.Unknown, lock.Expired},
		{"heals late and delivers", late, true, lock.Unknown, lock.Refused},
	}
	nets = slices.Repeat(nets, 2)
	slices.SortStableFunc(nets, func(a, b halfOpen) int { return cmp.Compare(a.heals, b.heals) })
	creds := s.provision(t, len(nets))
	proxies, devices, keys := make([]*sim.Proxy, len(nets)), make([]*sim.Device, len(nets)), make([]guestKey, len(nets))
	for i, n := range nets {
		proxies[i] = s.newProxy(t)
		proxies[i].DeliverAfterReset(n.deliver)
		devices[i] = s.device(t, creds[i], behind(proxies[i]))
		connect(t, devices[i])
		keys[i] = s.newKey(t, creds[i].LockID, 1)
	}

	opened := make([]time.Time, len(nets))
	for i := range nets {
		proxies[i].Freeze(sim.Both)
		opened[i] = time.Now()
		go func() { _, _ = s.open(t.Context(), false, keys[i], "r") }() // it is answered when the wait for the device is over
		s.becomes(t, keys[i], "r", lock.Sent)
	}
	for i, n := range nets {
		session := devices[i].Session()
		require.True(t, pause(t.Context(), time.Until(opened[i].Add(n.heals))))
		outcome, err := s.outcome(t.Context(), keys[i], "r")
		require.NoError(t, err)
		if n.meets != "" {
			require.Equal(t, n.meets, outcome, n.name)
		}
		require.EqualValues(t, 1, s.listed(t, keys[i]).UsedCount, "what may have opened stays spent")
		require.Empty(t, devices[i].Movements())
		proxies[i].Thaw(sim.Both)

		wants := []lock.Outcome{n.ends}
		if n.ends != lock.Opened { // nothing moved, in whatever words the device tells it
			wants = []lock.Outcome{lock.Expired, lock.Refused}
		}
		ended := s.becomes(t, keys[i], "r", wants...)
		if n.meets == lock.Unknown {
			awaitSession(t, devices[i], session) // the server has ended the one before
		}
		moved, uses := len(devices[i].Movements()), s.listed(t, keys[i]).UsedCount
		t.Logf("%s: %s, then %s; %d movements, %d uses", n.name, outcome, ended, moved, uses)
		if n.ends == lock.Opened {
			require.Equal(t, 1, moved)
			require.EqualValues(t, 1, uses)
			continue
		}
		require.Zero(t, moved)
		require.Zero(t, uses, "the use has come back")
	}
	// The locks work as before, and nothing of what was frozen moves them besides.
	for i, n := range nets {
		key := s.newKey(t, creds[i].LockID, 1)
		s.mustOpen(t, key, "again")
		s.becomes(t, key, "again", lock.Opened)
		want := 1
		if n.ends == lock.Opened {
			want = 2
		}
		require.Len(t, devices[i].Movements(), want, n.name)
	}
	s.conclude(t)
}
