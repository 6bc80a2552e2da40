package app

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/config"
)

func (c *callers) length() (all, waiting int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for place := c.line.Front(); place != c.asked; place = place.Next() {
		waiting++
	}
	return len(c.all), waiting
}

// ask connects, and says something.
func ask(t *testing.T, s *httpServer, says string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, says)
	require.NoError(t, err)
	return conn
}

func TestBoundsOfCallers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		files      uint64
		memory     int64
		devices    int
		connection int
		weight     int
	}{
		{files: 64, memory: 1, connection: leastCallers, weight: leastCallers},
		{files: 20_000, connection: 17_500, weight: math.MaxInt},
		{files: 20_000, devices: 10_000, connection: 7_500, weight: math.MaxInt},
		{files: 20_000, memory: 1 << 30, devices: 10_000, connection: 7_500, weight: 4_096},
	} {
		bound := newCallers(c.files, c.memory, prometheus.NewRegistry())
		bound.beside(func() int { return c.devices })
		connections, weight := bound.most()
		require.Equal(t, c.connection, connections, c)
		require.Equal(t, c.weight, weight, c)
	}
}

// When all places are taken by callers who say nothing, the next one is served, and of the others the one goes that has
// waited longest. Who waits for an answer stays.
func TestWhoAsksNothingMakesRoom(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	bound := newCallers(0, 0, registry)
	s, err := startHTTP(config.Server{HTTPAddr: "127.0.0.1:0"}, slog.New(slog.DiscardHandler), bound, func(err error) { t.Error(err) })
	require.NoError(t, err)
	defer func() { require.NoError(t, s.server.Close()); <-s.served }()
	asked, answer := make(chan struct{}), make(chan struct{})
	s.open(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(asked)
			<-answer
		}
		_, _ = io.WriteString(w, "answered")
	}), func() int { return 0 })

	dial := func(says string) net.Conn { return ask(t, s, says) }
	shed := func() float64 {
		families, err := registry.Gather()
		require.NoError(t, err)
		require.Equal(t, "latchkey_app_connections_shed_total", families[1].GetName())
		return families[1].GetMetric()[0].GetCounter().GetValue()
	}
	slow := dial("GET /slow HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")
	<-asked
	var silent []net.Conn
	for i := range leastCallers - 1 {
		silent = append(silent, dial("GET / HTTP/1.1\r\nX-Drip: "))
		require.Eventually(t, func() bool { all, _ := bound.length(); return all == 2+i }, 5*time.Second, time.Millisecond)
	}
	require.Zero(t, shed())

	const more = 3
	for range more {
		told, err := io.ReadAll(dial("GET / HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n"))
		require.NoError(t, err)
		require.Contains(t, string(told), "answered")
		require.Eventually(t, func() bool { all, _ := bound.length(); return all == leastCallers-1 }, 5*time.Second, time.Millisecond)
		require.EqualValues(t, 1, shed(), "one place is enough for all that ask and leave")
	}
	require.NoError(t, silent[0].SetReadDeadline(time.Now().Add(readHeaderTimeout/2)))
	_, err = silent[0].Read(make([]byte, 1))
	require.Error(t, err)
	require.False(t, errors.Is(err, os.ErrDeadlineExceeded), "the one that has waited longest is closed")
	require.NoError(t, silent[1].SetReadDeadline(time.Now().Add(time.Millisecond)))
	_, err = silent[1].Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the next one is not")
	close(answer)
	told, err := io.ReadAll(slow)
	require.NoError(t, err)
	require.Contains(t, string(told), "answered")
}

// Each request of a connection is two changes of its state.
func BenchmarkAccountOfCallers(b *testing.B) {
	bound := newCallers(0, 0, prometheus.NewRegistry())
	conns := make([]net.Conn, leastCallers)
	for i := range conns {
		conns[i] = new(net.TCPConn)
		bound.changed(conns[i], http.StateNew)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		conn := conns[i%len(conns)]
		bound.changed(conn, http.StateActive)
		bound.begin(conn)
		bound.rest(conn, true)
		bound.changed(conn, http.StateIdle)
	}
}

// A connection that waits for the next request is counted as waiting from its last answer on, and over TLS as well. One of HTTP/2 counts
// as the requests that it may have.
func TestAccountOfCallers(t *testing.T) {
	t.Parallel()
	bound := newCallers(0, 0, prometheus.NewRegistry())
	var asked atomic.Int64
	server := httptest.NewUnstartedServer(bound.watch(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if _, waiting := bound.length(); waiting == 0 {
			asked.Add(1)
		}
	})))
	server.EnableHTTP2 = true
	server.Config.ConnState, server.Config.ConnContext = bound.changed, withCaller
	server.StartTLS()
	defer server.Close()
	for i, protocols := range [][]string{{"h2"}, {"http/1.1"}} {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, NextProtos: protocols},
			ForceAttemptHTTP2: protocols[0] == "h2",
		}}
		for range 3 {
			answer, err := client.Get(server.URL)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, protocols[0] == "h2", answer.ProtoMajor == 2)
		}
		require.Eventually(t, func() bool { all, waiting := bound.length(); return all == 1 && waiting == 1 }, 5*time.Second, time.Millisecond)
		require.EqualValues(t, 3*(i+1), asked.Load(), "while it was answered it did not wait")
		require.Equal(t, []int{maxStreams, 1}[i], bound.weighs())
		client.CloseIdleConnections()
		require.Eventually(t, func() bool { all, waiting := bound.length(); return all == 0 && waiting == 0 }, 5*time.Second, time.Millisecond)
		require.Zero(t, bound.weighs())
	}
}

func (c *callers) weighs() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.weight
}

// When all places are taken by callers who keep the server waiting in the middle of a request, the next one is served all the same.
func TestWhoKeepsTheServerWaitingMakesRoom(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"with a body that does not come":  "POST /slow HTTP/1.1\r\nHost: door\r\nContent-Length: 10\r\n\r\n",
		"with an answer that is not read": "GET /large HTTP/1.1\r\nHost: door\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bound := newCallers(0, 0, prometheus.NewRegistry())
			s, err := startHTTP(config.Server{HTTPAddr: "127.0.0.1:0"}, slog.New(slog.DiscardHandler), bound, func(err error) { t.Error(err) })
			require.NoError(t, err)
			defer func() { require.NoError(t, s.server.Close()); <-s.served }()
			var held atomic.Int64
			s.open(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.URL.Path {
				case "/slow":
					held.Add(1)
					_, _ = io.Copy(io.Discard, r.Body)
				case "/large":
					held.Add(1)
					for range 64 {
						if _, err := w.Write(make([]byte, 1<<20)); err != nil {
							return
						}
					}
				}
				_, _ = io.WriteString(w, "answered")
			}), func() int { return 0 })

			for range leastCallers {
				ask(t, s, says)
			}
			require.Eventually(t, func() bool { return held.Load() == leastCallers }, 5*time.Second, time.Millisecond)
			for range 3 {
				told, err := io.ReadAll(ask(t, s, "GET / HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n"))
				require.NoError(t, err)
				require.Contains(t, string(told), "answered")
			}
		})
	}
}
