package tests

import (
	"context"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// openByRight opens a lock as its operator does, who is told when the device is not connected.
func (s *server) openByRight(ctx context.Context, id int64) (*answer, error) {
	return s.patiently(ctx, http.MethodPost, fmt.Sprintf("/locks/%d/OpenLock", id), map[string]any{}, "Idempotency-Key", uuid.NewString())
}

// Bar: the node of the grain is killed. The device stays connected where it is, and nobody is ever told that it is away.
func TestKilledGrainsNodeDoesNotDisconnectTheDevice(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	session, caller, home := c.nodes[0], c.nodes[1], c.nodes[2]
	l := c.lockOf(t, home)
	stats := new(sim.Stats)
	d := c.device(t, l, connectsTo(session), func(o *sim.DeviceOptions) { o.Stats = stats })
	connect(t, d)
	first, err := caller.openByRight(t.Context(), l.LockID)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, first.status, first.body)

	home.kill()
	killed := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := caller.openByRight(ctx, l.LockID)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, string(lock.Opened), a.said().Outcome, a.body)
	took := time.Since(killed)
	t.Logf("opened %v after the kill of the grain's node", took.Round(time.Millisecond))
	require.Less(t, took, takeoverWithin+time.Second)
	require.EqualValues(t, 1, stats.Counts().Connects, "it has noticed nothing")
	c.nodes = []*node{session, caller}
	c.conclude(t)
}

// Bar: the node of the session is killed while the motor turns. Nobody hears the device's answer, the use stays spent, and
// the device tells what it has done when it is back, on another node.
func TestKilledSessionsNodeLeavesNothingHanging(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	session, caller, home := c.nodes[0], c.nodes[1], c.nodes[2]
	l := c.lockOf(t, home)
	d := c.device(t, l, travels(time.Second), func(o *sim.DeviceOptions) { o.Servers = []string{session.url, home.url} })
	connect(t, d)
	key := caller.newKey(t, l.LockID, 2)
	go func() { _, _ = caller.open(t.Context(), false, key, "first") }()
	caller.becomes(t, key, "first", lock.Sent)
	before := d.Session()
	session.kill()
	c.nodes = []*node{caller, home}
	awaitSession(t, d, before)
	caller.becomes(t, key, "first", lock.Opened)
	require.Len(t, d.Movements(), 1)
	require.EqualValues(t, 1, caller.listed(t, key).UsedCount)
	caller.mustOpen(t, key, "second")
	caller.becomes(t, key, "second", lock.Opened)
	c.conclude(t)
}

// Bar: the node of the session is frozen when the open is sent, and wakes up after its deadline. It cannot know how long the
// open was under way, and yet nothing moves late; the use comes back.
func TestFrozenSessionsNodeOpensNothingLate(t *testing.T) {
	t.Parallel()
	for _, frozen := range []time.Duration{2 * time.Second, 7 * time.Second} {
		t.Run(frozen.String(), func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			session, caller, home := c.nodes[0], c.nodes[1], c.nodes[2]
			l := c.lockOf(t, home)
			d := c.device(t, l, connectsTo(session))
			connect(t, d)
			key := caller.newKey(t, l.LockID, 1)
			caller.connectTo(t, l.LockID)

			session.signal(t, syscall.SIGSTOP)
			go func() { _, _ = caller.open(t.Context(), false, key, "frozen") }()
			caller.becomes(t, key, "frozen", lock.Sent)
			sent := time.Now()
			require.True(t, pause(t.Context(), frozen))
			session.signal(t, syscall.SIGCONT)
			if frozen < lifetime {
				caller.becomes(t, key, "frozen", lock.Opened)
				require.Len(t, d.Movements(), 2)
			} else {
				ended := caller.becomes(t, key, "frozen", lock.Expired, lock.Refused)
				t.Logf("sent, frozen for %v, and %s %v after that", frozen, ended, time.Since(sent).Round(time.Millisecond))
				require.Len(t, d.Movements(), 1)
				require.Zero(t, caller.listed(t, key).UsedCount, "the use has come back")
			}
			c.awaitMembers(t, clusterNodes)
			c.conclude(t)
		})
	}
}

// connectTo opens a lock, so that the nodes on the way to its device are connected with each other.
func (n *node) connectTo(t *testing.T, lock int64) {
	t.Helper()
	a, err := n.openByRight(t.Context(), lock)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.status, a.body)
}

// lifetime is that of an open on its way to a device.
const lifetime = 5 * time.Second
