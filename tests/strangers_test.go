package tests

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
)

// What an address may try in these tests.
const (
	triesPerSecond = 5
	triesAtOnce    = 50
)

// newBoundServer is a server with two devices: the first is connected, and the second has never been.
func newBoundServer(t *testing.T) (s *server, connected *sim.Device, creds []sim.Credential) {
	t.Helper()
	s = newServer(t, "--rate-per-address", fmt.Sprint(triesPerSecond))
	creds = s.provision(t, 2)
	connected = s.device(t, creds[0])
	connect(t, connected)
	return s, connected, creds
}

// Who tries secrets has so many tries. Nobody at another address notices, no guest and no device that was there before; only a
// device that is new at that address has to wait.
func TestWhoTriesSecretsIsSlowedDown(t *testing.T) {
	t.Parallel()
	s, connected, creds := newBoundServer(t)
	newcomer := creds[1].LockUUID
	tried, began := 0, time.Now()
	for ; ; tried++ {
		require.Less(t, tried, 4*triesAtOnce)
		response := s.handshakeFrom(t, "127.0.0.1", newcomer, newcomer, "a guess")
		if response.StatusCode == http.StatusServiceUnavailable {
			require.NotEmpty(t, response.Header.Get("Retry-After"))
			break
		}
		require.Equal(t, http.StatusUnauthorized, response.StatusCode)
	}
	require.GreaterOrEqual(t, tried, triesAtOnce)
	require.LessOrEqual(t, tried, triesAtOnce+1+int(time.Since(began).Seconds()*triesPerSecond))

	response, body := fetch(t, http.MethodGet, s.url+"/openapi.json", nil)
	require.Equal(t, http.StatusOK, response.StatusCode, body)
	elsewhere := s.handshakeFrom(t, "127.0.0.2", newcomer, newcomer, creds[1].Secret)
	require.Equal(t, http.StatusSwitchingProtocols, elsewhere.StatusCode)
	before := connected.Session()
	require.True(t, connected.DropSocket())
	awaitSession(t, connected, before)
	open := s.must(t, http.StatusOK, http.MethodPost, fmt.Sprintf("/locks/%d/OpenLock", creds[0].LockID), map[string]any{})
	require.Equal(t, "opened", open.said().Outcome)
	s.conclude(t)
}

// Who is gone before the answer comes has tried as well.
func TestWhoGoesBeforeTheAnswerHasTriedToo(t *testing.T) {
	t.Parallel()
	s, _, creds := newBoundServer(t)
	newcomer := creds[1].LockUUID
	var request bytes.Buffer
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/devices/"+newcomer+"/connect", nil)
	require.NoError(t, err)
	r.SetBasicAuth(newcomer, "a guess")
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "latchkey.v1",
	} {
		r.Header.Set(name, value)
	}
	require.NoError(t, r.Write(&request))
	for range 2 * triesAtOnce {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		require.NoError(t, err)
		_, err = conn.Write(request.Bytes())
		require.NoError(t, err)
		require.NoError(t, conn.(*net.TCPConn).CloseWrite())
		t.Cleanup(func() { _ = conn.Close() })
	}
	tried := 0 // besides: they do not use the tries up
	require.Eventually(t, func() bool {
		tried++
		return s.handshake(t, newcomer, newcomer, "a guess") == http.StatusServiceUnavailable
	}, patience, 10*pollEvery)
	require.Less(t, tried, triesAtOnce/2)
}
