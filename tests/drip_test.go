package tests

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

const (
	// dripFor is how long new connections come in the place of those that were ended.
	dripFor = 20 * time.Second
	// dripAlive is what docs/operations.md says of a connection, in bytes, and dripMost what it says of 10,000 of them.
	dripAlive, dripMost = 40 << 10, 700 << 20
	// dripDevice is how many connections one device makes.
	dripDevice = 2
)

// Bar: as many connections as this process may have do nothing but hold on: by headers and bodies that come byte by byte, by
// WebSockets on which nothing or half a frame is said, and by answers that are read byte by byte. All others notice nothing,
// each of these is ended when the documents say so, and the server's memory and files are what they were.
func TestDrippingConnections(t *testing.T) {
	t.Parallel()
	connections := dose.Of(1_500, 10_000)
	s := newServer(t)
	creds := s.provision(t, 1+connections/4/dripDevice+1)
	d := s.device(t, creds[0])
	connect(t, d)
	key := s.newKey(t, creds[0].LockID, 0)
	kinds := s.drips(t, connections, key, creds[1:])

	memory := func() float64 {
		return s.figure(t, "go_memstats_sys_bytes") - s.figure(t, "go_memstats_heap_released_bytes")
	}
	alive := func() float64 {
		return s.figure(t, "go_gc_heap_live_bytes") + s.figure(t, "go_memstats_stack_inuse_bytes")
	}
	files := func() float64 { return s.figure(t, "process_open_fds") }
	before, aliveBefore, filesBefore := memory(), alive(), files()
	ctx, cancel := context.WithTimeout(t.Context(), dripFor+time.Duration(connections)*time.Second/dripRamp)
	defer cancel()
	crowd := &drippers{addr: strings.TrimPrefix(s.url, "http://")}
	var all sync.WaitGroup
	all.Go(func() { crowd.run(ctx, kinds) })
	var most, mostAlive, mostFiles, resident float64
	var looks, opens []time.Duration
	for i := 0; ctx.Err() == nil; i++ {
		most, mostAlive, mostFiles = max(most, memory()), max(mostAlive, alive()), max(mostFiles, files())
		resident = max(resident, s.figure(t, "process_resident_memory_bytes"))
		began := time.Now()
		s.must(t, http.StatusOK, http.MethodGet, "/locks/1/details", nil)
		looks = append(looks, time.Since(began))
		s.web.CloseIdleConnections() // the next one comes with the crowd
		began = time.Now()
		request := fmt.Sprint("r", i)
		s.mustOpen(t, key, request)
		opens = append(opens, time.Since(began))
		s.becomes(t, key, request, lock.Opened)
	}
	all.Wait()
	crowd.require(t)
	t.Logf("meanwhile %d others looked in %s (p99 %s) and opened in %s (p99 %s)", len(opens),
		at100(looks, 50), at100(looks, 99), at100(opens, 50), at100(opens, 99))
	t.Logf("%d connections, %.0f files: %.1f MB before, %.1f MB at most, which is %.0f bytes a connection; %.0f MB resident", connections, mostFiles,
		before/1e6, most/1e6, (most-before)/float64(connections), resident/1e6)
	t.Logf("of it alive: %.1f MB before, %.1f MB at most, which is %.0f bytes a connection", aliveBefore/1e6, mostAlive/1e6,
		(mostAlive-aliveBefore)/float64(connections))
	require.GreaterOrEqual(t, mostFiles, filesBefore+0.9*float64(connections), "they did not drip at the same time")
	require.LessOrEqual(t, mostAlive-aliveBefore, dripAlive*float64(connections))
	require.LessOrEqual(t, most-before, float64(dripMost))
	require.Eventually(t, func() bool { return files() <= filesBefore+dripDevice }, patience, time.Second)
	require.Eventually(t, func() bool { return memory() <= before+0.1*(most-before)+32e6 }, patience, time.Second)
	t.Logf("afterwards: %.1f MB, %.0f files of %.0f", memory()/1e6, files(), filesBefore)
	require.True(t, d.Connected())
	s.conclude(t)
}

// drips gives a kind to each connection: a third are headers, a third bodies, a third WebSockets and slow readers.
func (s *server) drips(t *testing.T, connections int, key guestKey, creds []sim.Credential) []*drip {
	t.Helper()
	const (
		host = " HTTP/1.1\r\nHost: door\r\n"
		body = "Content-Length: 1000\r\n\r\n"
		asks = 80 // of a slow reader: what it asks for is more than a socket takes
	)
	post := "Content-Type: application/json\r\n" + body
	page := len(s.must(t, http.StatusOK, http.MethodGet, "/openapi.json", nil).body)
	headers := drip{name: "headers", begins: "GET /" + host + "X-Drip: ", drips: "drip", ends: 5 * time.Second}
	platform := drip{
		name: "a platform's body", begins: "POST /locks/1/create-temp-key" + host + "X-API-Key: " + s.superKey + "\r\n" + post + "{",
		drips: " ", ends: 5 * time.Second, told: "HTTP/1.1 408 ",
	}
	guest := drip{name: "a guest's body", begins: "POST " + key.page() + "/open" + host + post, drips: " ", ends: 5 * time.Second, told: "HTTP/1.1 408 "}
	stranger := drip{name: "a stranger's body", begins: "POST /locks/1/OpenLock" + host + post, drips: " ", ends: 15 * time.Second, told: "HTTP/1.1 401 "}
	slow := drip{
		name: "a slow reader", begins: strings.Repeat("GET /openapi.json"+host+"\r\n", asks), reads: asks * page, ends: 30 * time.Second,
	}
	session := drip{awaits: "HTTP/1.1 101 ", ends: 12 * time.Second, told: "no Hello came"}

	kinds := make([]*drip, connections)
	for i := range kinds {
		switch i % 12 {
		case 0, 3, 6, 9:
			kinds[i] = &headers
		case 1, 7:
			kinds[i] = &platform
		case 4:
			kinds[i] = &guest
		case 10:
			kinds[i] = &stranger
		case 11:
			kinds[i] = &slow
		default:
			c := creds[i/4/dripDevice]
			ws := session
			ws.begins = "GET /devices/" + c.LockUUID + "/connect" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
				"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: latchkey.v1\r\n" +
				"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(c.LockUUID+":"+c.Secret)) + "\r\n\r\n"
			ws.name = "a silent session"
			if i%12 == 5 {
				ws.name, ws.drips = "half a frame", "\x81\xfe\x00\xff"
			}
			kinds[i] = &ws
		}
	}
	return kinds
}

// figure reads one of the server's metrics.
func (s *server) figure(t *testing.T, name string) (v float64) {
	t.Helper()
	require.Eventually(t, func() (ok bool) {
		v, ok = (&node{server: s}).metric(t.Context(), name)
		return ok
	}, patience, pollEvery)
	return v
}

// Bar: more connections drip than the server has files. Those that have waited longest make room, so that whoever comes and
// asks is served, and the device stays.
func TestMoreDrippingConnectionsThanFiles(t *testing.T) {
	t.Parallel()
	const files, connections, asks = 1_024, 1_200, 50
	s := newServer(t)
	s.kill()
	// The shell gives its place to the server, which may have that many files.
	s.args = append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, files), binary}, s.args...)
	s.program = "/bin/sh"
	s.start(t)
	creds := s.provision(t, 2)
	d := s.device(t, creds[0])
	connect(t, d)
	key := s.newKey(t, creds[0].LockID, 0)
	headers := make([]*drip, connections)
	kind := s.drips(t, 1, key, creds)[0]
	for i := range headers {
		headers[i] = kind
	}
	ctx, cancel := context.WithCancel(t.Context())
	crowd := &drippers{addr: strings.TrimPrefix(s.url, "http://"), pause: 500 * time.Millisecond}
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() { crowd.run(ctx, headers) })
	shed := func() float64 { return s.figure(t, "latchkey_app_connections_shed_total") }
	require.Eventually(t, func() bool { return shed() > 0 }, patience, pollEvery)
	for i := range asks {
		s.web.CloseIdleConnections()
		s.must(t, http.StatusOK, http.MethodGet, "/locks/1/details", nil)
		s.web.CloseIdleConnections()
		s.mustOpen(t, key, fmt.Sprint("r", i))
		require.LessOrEqual(t, s.figure(t, "process_open_fds"), float64(files))
	}
	t.Logf("%d connections dripped at a server of %d files; %.0f were closed to make room", connections, files, shed())
	require.True(t, d.Connected())
	require.NotContains(t, s.stderr(), "too many open files")
	cancel()
	all.Wait()
	s.conclude(t)
}
