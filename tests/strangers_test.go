package tests

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
)

// knock asks to connect as a device from an address of this machine, and gives the status and the pause of the answer.
func (s *server) knock(t *testing.T, from, secret string, c sim.Credential) (status int, pause string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url, nil)
	require.NoError(t, err)
	r.SetBasicAuth(c.LockUUID, secret)
	dialer := websocket.Dialer{
		Subprotocols:   []string{"latchkey.v1"},
		NetDialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}).DialContext,
	}
	socket, response, err := dialer.Dial("ws"+s.url[len("http"):]+"/devices/"+c.LockUUID+"/connect", http.Header{"Authorization": r.Header["Authorization"]})
	if err == nil {
		require.NoError(t, socket.Close())
	}
	require.NotNil(t, response, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode, response.Header.Get("Retry-After")
}

// Who tries secrets has so many tries, and then keeps no other device, no guest and nobody at another address from the server.
func TestWhoTriesSecretsIsSlowedDown(t *testing.T) {
	t.Parallel()
	const perSecond, atOnce = 5, 50
	s := newServer(t, "--rate-per-address", "5")
	devices := s.provision(t, 2)
	connected, waits := devices[0], devices[1]
	connect(t, s.device(t, connected))

	tried, began := 0, time.Now()
	for {
		status, pause := s.knock(t, "127.0.0.1", "a guess", waits)
		if status == http.StatusServiceUnavailable {
			require.NotEmpty(t, pause)
			break
		}
		require.Equal(t, http.StatusUnauthorized, status)
		tried++
	}
	require.GreaterOrEqual(t, tried, atOnce)
	require.LessOrEqual(t, tried, atOnce+1+int(time.Since(began).Seconds()*perSecond))

	open := s.must(t, http.StatusOK, http.MethodPost, fmt.Sprintf("/locks/%d/OpenLock", connected.LockID), map[string]any{}, "X-API-Key", s.superKey)
	require.Equal(t, "opened", open.said().Outcome, "a device that is connected stays so")
	response, body := fetch(t, http.MethodGet, s.url+"/openapi.json", nil)
	require.Equal(t, http.StatusOK, response.StatusCode, body)
	status, _ := s.knock(t, "127.0.0.2", waits.Secret, waits)
	require.Equal(t, http.StatusSwitchingProtocols, status, "another address has tries of its own")
	require.Eventually(t, func() bool {
		status, _ := s.knock(t, "127.0.0.1", waits.Secret, waits)
		return status == http.StatusSwitchingProtocols
	}, patience, pollEvery)
	s.conclude(t)
}
