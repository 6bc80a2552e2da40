package transport_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

// One secret is good for few sockets without a Hello; each that says it, or ends, makes room.
func TestSocketsWithoutAHelloAreFew(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{HelloTimeout: patient})
	ask := func() int {
		dialer := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: patient}
		ws, resp, err := dialer.Dial(b.url(device), credentials(device, secret))
		require.NotNil(t, resp, err)
		if err == nil {
			require.NoError(t, ws.Close())
		}
		require.NoError(t, resp.Body.Close())
		require.Equal(t, resp.StatusCode == http.StatusServiceUnavailable, resp.Header.Get("Retry-After") != "")
		return resp.StatusCode
	}
	var silent []*client
	for range wire.MaxArrivals {
		silent = append(silent, b.dial())
	}
	require.Equal(t, http.StatusServiceUnavailable, ask())
	require.EqualValues(t, 1, b.count("handshakes_total", "busy"))
	status, _, body := b.request("/devices/"+string(device)+"/connect", upgrade(nil))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "this device", "it is not the crowd of all devices that is meant")

	silent[0].call("h1", wire.ActionHello, &wire.Hello{BootID: "b7", Mono: 1})
	silent[0].read()
	require.Eventually(t, func() bool { return ask() == http.StatusSwitchingProtocols }, patient, time.Millisecond) // and ends
	require.NoError(t, silent[1].ws.Close())
	require.NoError(t, silent[2].ws.Close())
	require.Eventually(t, func() bool { return ask() == http.StatusSwitchingProtocols }, patient, time.Millisecond)
	for range 3 * wire.MaxArrivals {
		b.connect()
	}
}

// Bytes are no sign of life: a device that drips a frame is gone like one that says nothing.
func TestADrippedFrameIsNoHeartbeat(t *testing.T) {
	t.Parallel()
	const heartbeat = 200 * time.Millisecond
	b := newBench(t, transport.Options{HeartbeatEvery: heartbeat, CloseTimeout: 50 * time.Millisecond})
	c, _ := b.connect()
	began := time.Now()
	dripped := make(chan error, 1)
	go func() {
		frame := append([]byte{0x81, 0x80 | 126, 0x3f, 0xff, 0, 0, 0, 0}, make([]byte, 0x3fff)...)
		tick := time.NewTicker(heartbeat / 20)
		defer tick.Stop()
		for i := range frame {
			<-tick.C
			if _, err := c.ws.NetConn().Write(frame[i : i+1]); err != nil {
				dripped <- err
				return
			}
		}
		dripped <- nil
	}()
	c.closed(wire.CloseHeartbeat)
	require.GreaterOrEqual(t, time.Since(began), wire.MissesToClose*heartbeat)
	require.Error(t, <-dripped, "the socket ends in the middle of the frame")
}
