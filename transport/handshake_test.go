package transport_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport"
)

// upgrade gives the header of a good handshake, with changes; a nil value takes a field away.
func upgrade(changes map[string]string) http.Header {
	h := credentials(device, secret)
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Version", "13")
	h.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	h.Set("Sec-WebSocket-Protocol", "latchkey.v1")
	for k, v := range changes {
		if h.Del(k); v != "" {
			h.Set(k, v)
		}
	}
	return h
}

func TestHandshakesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	path := "/devices/" + string(device) + "/connect"
	authorization := func(u lock.UUID, password string) map[string]string {
		return map[string]string{"Authorization": credentials(u, password).Get("Authorization")}
	}
	for _, c := range []struct {
		name    string
		path    string
		changes map[string]string
		status  int
		result  string
	}{
		{"wrong secret", path, authorization(device, "wrong"), 401, "credentials"},
		{"empty secret", path, authorization(device, ""), 401, "credentials"},
		{"another device's path", "/devices/" + string(other) + "/connect", nil, 401, "credentials"},
		{"unknown device", "/devices/" + string(other) + "/connect", authorization(other, secret), 401, "credentials"},
		{"path without a UUID", "/devices/7/connect", nil, 401, "credentials"},
		{"no credentials", path, map[string]string{"Authorization": ""}, 401, "credentials"},
		{"bearer token", path, map[string]string{"Authorization": "Bearer x"}, 401, "credentials"},
		{"no subprotocol", path, map[string]string{"Sec-WebSocket-Protocol": ""}, 400, "subprotocol"},
		{"other subprotocol", path, map[string]string{"Sec-WebSocket-Protocol": "ocpp1.6, latchkey.v2"}, 400, "subprotocol"},
		{"browser", path, map[string]string{"Origin": b.server.URL}, 403, "origin"},
		{"no upgrade", path, map[string]string{"Upgrade": "", "Connection": ""}, 426, "upgrade"},
		{"bad key", path, map[string]string{"Sec-WebSocket-Key": "short"}, 400, "handshake"},
		{"old version", path, map[string]string{"Sec-WebSocket-Version": "8"}, 400, "handshake"},
	} {
		before := b.count("handshakes_total", c.result)
		status, header, body := b.request(c.path, upgrade(c.changes))
		require.Equal(t, c.status, status, c.name)
		require.NotEmpty(t, body, c.name)
		require.Equal(t, status == http.StatusUnauthorized, header.Get("WWW-Authenticate") != "", c.name)
		require.InDelta(t, before+1, b.count("handshakes_total", c.result), 0, c.name)
	}
	require.Empty(t, b.told)

	// An unknown device cannot be told from a known one with a wrong secret.
	_, h1, b1 := b.request(path, upgrade(authorization(device, "wrong")))
	_, h2, b2 := b.request("/devices/"+string(other)+"/connect", upgrade(authorization(other, secret)))
	require.Equal(t, b1, b2)
	h1.Del("Date")
	h2.Del("Date")
	require.Equal(t, h1, h2)
}

func TestLockThatCannotBeAskedIsNotWrongCredentials(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("no member"), &lock.Error{Kind: lock.Busy, Message: "busy"}} {
		b := newBench(t, transport.Options{})
		b.broken = err
		status, header, _ := b.request("/devices/"+string(device)+"/connect", upgrade(nil))
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.NotEmpty(t, header.Get("Retry-After"))
	}
}

func TestUUIDsInAnyLetterCase(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	dialer := websocket.Dialer{Subprotocols: []string{"other", "latchkey.v1"}}
	ws, resp, err := dialer.Dial(b.url("6F2C1F0E-8B7A-4D4E-9A55-0C1D2E3F4A5B"), credentials(device, secret))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, ws.Close())
}

// RFC 6455, 11.3.4: the header may come in several lines, which mean the same as one with commas.
func TestTheSubprotocolMayBeInAnyLine(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	for _, lines := range [][]string{{"ocpp1.6", "latchkey.v1"}, {"ocpp1.6, ocpp2.0", "other,  latchkey.v1 "}, {"latchkey.v1", "ocpp1.6"}} {
		header := credentials(device, secret)
		header["Sec-Websocket-Protocol"] = lines
		ws, resp, err := (&websocket.Dialer{HandshakeTimeout: patient}).Dial(b.url(device), header)
		require.NoError(t, err, lines)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "latchkey.v1", ws.Subprotocol(), lines)
		require.NoError(t, ws.Close())
	}
}

func TestNoMoreSessionsThanAllowed(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{MaxSessions: 1})
	b.connect()
	status, header, _ := b.request("/devices/"+string(device)+"/connect", upgrade(nil))
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NotEmpty(t, header.Get("Retry-After"))
	b.awaitCount(1, "handshakes_total", "busy")
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := transport.New(transport.Options{Node: node})
	require.Error(t, err)
	_, err = transport.New(transport.Options{Grains: &grains{}})
	require.Error(t, err)
}

// Somebody has to find the door whose secret was rotated. Each reason has a line, and no more than one a second.
func TestRefusedDevicesAreNamedInTheLog(t *testing.T) {
	t.Parallel()
	var log logs
	b := newBench(t, transport.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	path := "/devices/" + string(device) + "/connect"
	for range 50 {
		b.request(path, upgrade(map[string]string{"Authorization": credentials(device, "a wrong secret").Get("Authorization")}))
	}
	b.request("/devices/x y/connect", upgrade(map[string]string{"Origin": b.server.URL}))
	text := log.String()
	require.Contains(t, text, "reason=credentials address=127.0.0.1:")
	require.Contains(t, text, "device="+string(device)+" lock="+lockID.String())
	require.Contains(t, text, "reason=origin")
	require.Less(t, strings.Count(text, "a device was refused"), 30)
	require.NotContains(t, text, "a wrong secret")
	require.NotContains(t, text, "x y")

	b.request("/devices/"+string(other)+"/connect", upgrade(map[string]string{"Authorization": "Basic " + strings.Repeat("x", 1000)}))
	require.NotContains(t, log.String(), "xxx")
}

// logs are written to from any goroutine.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
