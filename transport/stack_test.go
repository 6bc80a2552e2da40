//go:build !race

package transport_test

import (
	"testing"

	"github.com/stretchr/testify/require"
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
