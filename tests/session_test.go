package tests

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

// handshake tries to connect as a device would, and returns the status that it gets.
func (s *server) handshake(t *testing.T, device, user, secret string) int {
	t.Helper()
	return s.handshakeFrom(t, "127.0.0.1", device, user, secret).StatusCode
}

// handshakeFrom does so from an address of this machine.
func (s *server) handshakeFrom(t *testing.T, address, device, user, secret string) *http.Response {
	t.Helper()
	dialer := websocket.Dialer{
		Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: patience,
		NetDialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext,
	}
	ws, response, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/devices/"+device+"/connect", http.Header{"Authorization": {basic(user, secret)}})
	if err == nil {
		require.NoError(t, ws.Close())
	}
	require.NotNil(t, response, err)
	return response
}

// Bar: the newest socket of a device wins, and the older one gets nothing more.
func TestNewestSocketWins(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	creds := s.provision(t, 1)
	key := s.newKey(t, creds[0].LockID, 0)
	var old *sim.Device
	oldStats := new(sim.Stats)
	const sockets = 4
	for i := range sockets {
		stats, record := new(sim.Stats), sim.NewRecorder(nil)
		d := s.device(t, creds[0], staysAway, func(o *sim.DeviceOptions) { o.Stats, o.Recorder = stats, record })
		connect(t, d)
		if old != nil {
			require.Eventually(t, func() bool { return oldStats.Counts().Replaced == 1 }, patience, pollEvery, "the older socket is closed with 4409")
			require.False(t, old.Connected())
		}
		before := 0
		if old != nil {
			before = len(old.Movements())
		}
		request := fmt.Sprint("r", i)
		s.mustOpen(t, key, request)
		s.becomes(t, key, request, lock.Opened)
		require.Len(t, d.Movements(), 1)
		if old != nil {
			require.Len(t, old.Movements(), before, "the older one moves no more")
		}
		old, oldStats = d, stats
	}
	t.Logf("%d sockets of one device, each replaced by the next: each opened once, and the older ones not again", sockets)
}

// Bar: a Hello that was under way for so long that its device has given the socket up does not take a door out of service.
func TestALateHelloThrowsNobodyOut(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.provision(t, 1)[0]
	late, response, err := (&websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: patience}).DialContext(
		t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/devices/"+c.LockUUID+"/connect", http.Header{"Authorization": {basic(c.LockUUID, c.Secret)}})
	require.NoError(t, err)
	defer late.Close()
	require.NoError(t, response.Body.Close())
	stats := new(sim.Stats)
	d := s.device(t, c, func(o *sim.DeviceOptions) { o.Stats, o.Drift.Offset = stats, time.Hour })
	connect(t, d)
	session := d.Session()

	hello := wire.Hello{BootID: d.BootID(), Mono: time.Minute.Milliseconds(), Caps: []string{wire.CapDeadline, wire.CapJournal}}
	require.NoError(t, late.WriteMessage(websocket.TextMessage, wire.AppendCall(nil, "h1", wire.ActionHello, &hello)))
	require.NoError(t, late.SetReadDeadline(time.Now().Add(patience)))
	_, _, err = late.ReadMessage()
	require.True(t, websocket.IsCloseError(err, wire.CloseReplaced), "the older socket is closed, and never greeted: %v", err)
	require.True(t, s.online(t, c.LockID))
	key := s.newKey(t, c.LockID, 1)
	s.mustOpen(t, key, "r")
	require.Equal(t, lock.Opened, s.becomes(t, key, "r", lock.Opened, lock.Refused, lock.Unknown))
	require.Equal(t, session, d.Session())
	require.Zero(t, stats.Counts().Replaced)
	s.conclude(t)
}

func basic(user, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+secret))
}

// Bar: a wrong secret does not connect, nor does another device's; a rotation leaves both secrets valid for its grace, and
// only the new one afterwards.
func TestDeviceSecrets(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	creds := s.provision(t, 2)
	one, two := creds[0], creds[1]
	for name, c := range map[string]struct {
		device, user, secret string
		status               int
	}{
		"right":                   {one.LockUUID, one.LockUUID, one.Secret, http.StatusSwitchingProtocols},
		"upper case":              {strings.ToUpper(one.LockUUID), strings.ToUpper(one.LockUUID), one.Secret, http.StatusSwitchingProtocols},
		"wrong secret":            {one.LockUUID, one.LockUUID, one.Secret[1:], http.StatusUnauthorized},
		"no secret":               {one.LockUUID, one.LockUUID, "", http.StatusUnauthorized},
		"another's secret":        {one.LockUUID, one.LockUUID, two.Secret, http.StatusUnauthorized},
		"another's path":          {one.LockUUID, two.LockUUID, two.Secret, http.StatusUnauthorized},
		"a device nobody knows":   {uuid.NewString(), one.LockUUID, one.Secret, http.StatusUnauthorized},
		"a path that is no UUID":  {"lock", "lock", one.Secret, http.StatusUnauthorized},
		"the super key as secret": {one.LockUUID, one.LockUUID, s.superKey, http.StatusUnauthorized},
	} {
		require.Equal(t, c.status, s.handshake(t, c.device, c.user, c.secret), name)
	}
	stats := new(sim.Stats)
	wrong := one
	wrong.Secret = two.Secret
	d := s.device(t, wrong, func(o *sim.DeviceOptions) { o.Stats = stats })
	d.Start()
	require.Eventually(t, func() bool { return stats.Counts().Rejected >= 2 }, patience, pollEvery)
	require.Zero(t, stats.Counts().Connects)

	const grace = 3
	start := time.Now()
	rotated := s.must(t, http.StatusOK, http.MethodPost, "/locks/1/RotateDeviceSecret", map[string]any{"graceSeconds": grace}).said().Secret
	require.NotEqual(t, one.Secret, rotated)
	until := start.Add(grace * time.Second)
	require.Equal(t, http.StatusSwitchingProtocols, s.handshake(t, one.LockUUID, one.LockUUID, rotated))
	old := s.handshake(t, one.LockUUID, one.LockUUID, one.Secret)
	require.True(t, time.Now().Before(until), "the machine is too slow to look at the grace")
	require.Equal(t, http.StatusSwitchingProtocols, old)

	s.restart(t) // both are remembered, with the end of the grace
	require.Equal(t, http.StatusSwitchingProtocols, s.handshake(t, one.LockUUID, one.LockUUID, rotated))
	pause(t.Context(), time.Until(until))
	require.Eventually(t, func() bool { // it began when the server answered, which is a little later than start
		return s.handshake(t, one.LockUUID, one.LockUUID, one.Secret) == http.StatusUnauthorized
	}, grace*time.Second, pollEvery)
	ended := time.Since(start)
	require.Equal(t, http.StatusSwitchingProtocols, s.handshake(t, one.LockUUID, one.LockUUID, rotated))

	again := s.must(t, http.StatusOK, http.MethodPost, "/locks/1/RotateDeviceSecret", map[string]any{"graceSeconds": 0}).said().Secret
	require.Equal(t, http.StatusUnauthorized, s.handshake(t, one.LockUUID, one.LockUUID, rotated), "without a grace the old one ends at once")
	require.Equal(t, http.StatusSwitchingProtocols, s.handshake(t, one.LockUUID, one.LockUUID, again))
	t.Logf("a grace of %d s ended after %s", grace, ended.Round(time.Millisecond))
	s.conclude(t)
}
