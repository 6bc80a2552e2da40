package tests

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// outOfSight is longer than it takes a grain to give a session up, and nodes a connection between them on which nothing comes.
const outOfSight = 16 * time.Second

// Bar: what a grain has for the node of its device's session does not arrive for a while, and both nodes stay members. The grain has
// given the session up, and the word that it is over is lost. When the network is back, the lock opens again soon.
func TestSessionThatWasGivenUpInACutComesBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	session, home := c.nodes[0], c.nodes[2]
	l := c.lockOf(t, home)
	d := c.device(t, l, connectsTo(session))
	connect(t, d)
	key := home.newKey(t, l.LockID, 2)
	home.connectTo(t, l.LockID)
	before := d.Session()

	session.fromPeers.Freeze(sim.Up)
	go func() { _, _ = home.open(t.Context(), false, key, "lost") }()
	home.becomes(t, key, "lost", lock.Unknown)
	require.True(t, pause(t.Context(), outOfSight))
	require.Equal(t, before, d.Session(), "void: the device has another session, which the grain knows")
	session.fromPeers.Thaw(sim.Up)
	healed := time.Now()
	require.Eventually(t, func() bool {
		a, err := home.openByRight(t.Context(), l.LockID)
		return err == nil && a.status == http.StatusOK && a.said().Outcome == string(lock.Opened)
	}, healedWithin, pollEvery, "the lock is taken for offline")
	t.Logf("the lock opens %s after the network is back", time.Since(healed).Round(time.Millisecond))
	home.becomes(t, key, "lost", lock.Expired, lock.Refused)
	require.Zero(t, home.listed(t, key).UsedCount, "the use has come back")
	c.conclude(t)
}
