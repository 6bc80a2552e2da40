package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

func TestDrainSendsDevicesAwayWithAPause(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	const devices = 8
	clients := make([]*client, devices)
	for i := range clients {
		b.grains.mu.Lock()
		b.grains.newest = lock.Session{} // none takes over
		b.grains.mu.Unlock()
		clients[i], _ = b.connect()
	}
	drained := make(chan error, 1)
	go func() { drained <- b.hub.Drain(t.Context()) }()
	pauses := make(map[time.Duration]bool)
	for _, c := range clients {
		var pause wire.RetryAfter
		require.NoError(t, pause.Parse([]byte(c.closed(wire.CloseDraining))))
		require.LessOrEqual(t, pause.Pause, devices*time.Millisecond, "so few are back at once")
		pauses[pause.Pause] = true
	}
	require.Greater(t, len(pauses), 1, "but not in one moment")
	require.NoError(t, <-drained)
	require.Len(t, tellings[*lock.DisconnectDevice](b.grains), devices)

	status, header, _ := b.request("/devices/"+string(device)+"/connect", upgrade(nil))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NotEmpty(t, header.Get("Retry-After"))
}

func TestDrainGivesUpInTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{CloseTimeout: patient})
	b.connect() // does not answer the close frame
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.hub.Drain(ctx), context.DeadlineExceeded)
}

func TestCloseEndsEverySession(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	b.connect()
	b.dial() // one that has not said Hello
	b.awaitCount(2, "handshakes_total", "accepted")
	b.hub.Close()
	require.Len(t, tellings[*lock.DisconnectDevice](b.grains), 1)
	b.awaitCount(2, "closes_total", "stopped")
	b.hub.Close()
	b.hub.Keep()
	b.hub.Send(lockID, sendOpen(b.session(), "late", time.Second))
	require.Equal(t, wire.CodeStaleSession, awaitTold[*lock.AnswerOpen](t, b.grains).Code)
}

func TestSessionsRemindTheirGrains(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c := b.dial()
	c.write(`[2,"h1","Hello",{"bootId":"b7","mono":1,"caps":["journal"],"reported":{"bolt":"locked","door":"closed","battery":78}}]`)
	c.read()
	b.hub.Keep() // the lock is where it was
	b.move("n2")
	k := awaitTold[*lock.KeepDevice](t, b.grains)
	require.Equal(t, lock.Device{
		Session: b.session(), BootID: "b7", Journal: true, Reported: lock.Reported{Bolt: "locked", Door: "closed", Battery: 78},
		HelloMono: 1, Clock: lock.Clock{Mono: 1, At: k.Device.Clock.At},
	}, k.Device)

	// What the device reported since is in the journal, and an older word must not hide it.
	c.write(`[2,"e1","Events",{"items":[{"seq":1,"type":"door","value":"open"},{"seq":2,"type":"battery","value":"77"}]}]`)
	awaitTold[*lock.ReportEvents](t, b.grains)
	n := 0
	require.Eventually(t, func() bool {
		n++
		b.move(fmt.Sprint("n", n))
		all := tellings[*lock.KeepDevice](b.grains)
		return all[len(all)-1].Device.Reported == lock.Reported{Bolt: "locked"}
	}, patient, time.Millisecond)
}

// What a member had for sessions may have been lost: those of its locks tell it of themselves, and no others. One whose secret is worth
// nothing any more does not.
func TestSessionsAreRecalled(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{HeartbeatEvery: time.Second})
	b.grains.mu.Lock()
	b.home = "n2"
	b.grains.mu.Unlock()
	c, _ := b.connect()
	told := func() int { return len(tellings[*lock.KeepDevice](b.grains)) }
	b.hub.Recall("n3")
	b.hub.Recall("n2")
	require.Eventually(t, func() bool { return told() > 0 }, patient, time.Millisecond)
	b.withdraw()
	b.hub.Recall("n3")
	b.hub.Recall("n2")
	c.closed(wire.CloseCredentials)
	require.Equal(t, 1, told())
}

func TestSessionsRemindTheirGrainsByThemselves(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{HeartbeatEvery: time.Second, KeepEvery: 50 * time.Millisecond})
	b.connect()
	awaitTold[*lock.KeepDevice](t, b.grains)
}

// A lock that moves while its device is being greeted hears of the session too, and so does one that moves again while the
// sessions are still telling the locks that have moved before.
func TestNoMoveIsMissed(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	b.grains.connect = func(*lock.ConnectDevice) (lock.Reply, error) {
		b.move("n2")
		return &lock.Greeting{Epoch: 5}, nil
	}
	b.connect()
	awaitTold[*lock.KeepDevice](t, b.grains)
	const moves = 200
	for i := range moves {
		b.move(fmt.Sprint("n", 3+i))
	}
	before := len(tellings[*lock.KeepDevice](b.grains))
	b.move("last")
	require.Eventually(t, func() bool { return len(tellings[*lock.KeepDevice](b.grains)) > before }, patient, time.Millisecond)
}
