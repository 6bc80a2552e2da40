//go:build !race

package transport_test

import (
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport/wire"
)

// TestWaitingForADeviceTakesTheSmallestStack holds what await.go is for. Nothing else would show that a frame became deeper.
// The race detector makes all of them deeper.
func TestWaitingForADeviceTakesTheSmallestStack(t *testing.T) {
	t.Parallel()
	const devices = 500
	server := startServer(t, "http")
	for range 100 {
		idleDevice(t, server.url)
	}
	before := server.ask(t).Stacks
	for range devices {
		idleDevice(t, server.url)
	}
	require.Less(t, (server.ask(t).Stacks-before)/devices, 3<<10)
}

// Devices that have said much in a short time are awaited by workers, until they are silent. Then they wait like all others, and
// are heard as before.
func TestWorkersAwaitBusyDevicesOnly(t *testing.T) {
	t.Parallel()
	const devices = 50
	server := startServer(t, "http")
	sockets := make([]*websocket.Conn, devices)
	for i := range sockets {
		sockets[i] = idleDevice(t, server.url)
	}
	for range 2 {
		for range 8 {
			for _, ws := range sockets {
				converse(t, ws, wire.ActionHeartbeat, &wire.Heartbeat{Mono: 3})
			}
		}
		require.Equal(t, devices, server.ask(t).Staying)
		require.Eventually(t, func() bool { return server.ask(t).Staying == 0 }, patient, 100*time.Millisecond)
	}
}
