package ops_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/internal/ops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T) *ops.Server {
	t.Helper()
	s, err := ops.Start(ops.Options{
		Addr:     "127.0.0.1:0",
		Registry: ops.NewRegistry("v1.2.3"),
		Logger:   slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.WithoutCancel(t.Context()))) })
	return s
}

func get(t *testing.T, s *ops.Server, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
	require.NoError(t, err)
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

func TestReadyz(t *testing.T) {
	t.Parallel()
	var broken, limping atomic.Bool
	failWhen := func(b *atomic.Bool, message string) func(context.Context) error {
		return func(context.Context) error {
			if b.Load() {
				return errors.New(message)
			}
			return nil
		}
	}
	s := start(t)
	s.Watch(ops.Check{Name: "journal", Probe: failWhen(&broken, "disk full")})
	s.Watch(ops.Check{Name: "etcd", Probe: failWhen(&limping, "no answer"), Optional: true})
	expect := func(code int, status string) map[string]any {
		t.Helper()
		got, body := get(t, s, "/readyz")
		require.Equal(t, code, got, body)
		var answer struct {
			Status       string         `json:"status"`
			Dependencies map[string]any `json:"dependencies"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		require.Equal(t, status, answer.Status)
		return answer.Dependencies
	}

	metrics := func(lines ...string) {
		t.Helper()
		_, body := get(t, s, "/metrics")
		for _, line := range lines {
			require.Contains(t, body, "\n"+line+"\n")
		}
	}

	expect(http.StatusServiceUnavailable, "starting")
	metrics("latchkey_ops_ready 0")
	s.Ready()
	require.Equal(t, map[string]any{
		"journal": map[string]any{"status": "up"},
		"etcd":    map[string]any{"status": "up", "optional": true},
	}, expect(http.StatusOK, "ready"))

	limping.Store(true)
	require.Equal(t, map[string]any{"status": "down", "optional": true, "error": "no answer"}, expect(http.StatusOK, "degraded")["etcd"])

	metrics("latchkey_ops_ready 1", `latchkey_ops_dependency_up{dependency="etcd"} 0`, `latchkey_ops_dependency_up{dependency="journal"} 1`)

	broken.Store(true)
	metrics("latchkey_ops_ready 0", `latchkey_ops_dependency_up{dependency="journal"} 0`)
	require.Equal(t, map[string]any{"status": "down", "error": "disk full"}, expect(http.StatusServiceUnavailable, "unready")["journal"])

	broken.Store(false)
	limping.Store(false)
	expect(http.StatusOK, "ready")
	s.Drain()
	expect(http.StatusServiceUnavailable, "draining")
	code, _ := get(t, s, "/livez")
	require.Equal(t, http.StatusOK, code, "a server that drains is alive")
}

func TestMetricsAndProfiles(t *testing.T) {
	t.Parallel()
	s := start(t)
	code, body := get(t, s, "/metrics")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, `version="v1.2.3"`)
	require.Contains(t, body, "go_goroutines")
	require.Contains(t, body, "process_resident_memory_bytes")
	code, body = get(t, s, "/debug/pprof/goroutine?debug=1")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "goroutine profile")
	for path, want := range map[string]int{
		"profile?seconds=1": http.StatusOK, "profile?seconds=301": http.StatusBadRequest, "trace?seconds=300.5": http.StatusBadRequest, "heap?seconds=3600": http.StatusBadRequest,
	} {
		code, body = get(t, s, "/debug/pprof/"+path)
		require.Equal(t, want, code, "%s: %s", path, body)
	}
}

// The files of the process are the guests' and the devices': so many connections are here at a time, and the others wait for one of them to end.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	s := start(t)
	const bound = 64
	ask := func() (net.Conn, *bufio.Reader) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Addr())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		return conn, bufio.NewReader(conn)
	}
	answered := func(conn net.Conn, r *bufio.Reader, within time.Duration) error {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(within)))
		response, err := http.ReadResponse(r, nil)
		if err == nil {
			require.Equal(t, http.StatusOK, response.StatusCode)
			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, response.Body.Close())
		}
		return err
	}
	first, firstReader := ask()
	require.NoError(t, answered(first, firstReader, 10*time.Second))
	for range bound - 1 {
		conn, r := ask()
		require.NoError(t, answered(conn, r, 10*time.Second))
	}
	// The one that has rested longest makes room, and whoever holds the others takes nothing from a probe.
	for range bound {
		last, r := ask()
		require.NoError(t, answered(last, r, 10*time.Second))
	}
	require.ErrorIs(t, answered(first, firstReader, 10*time.Second), io.ErrUnexpectedEOF)
}

func TestFewProfilesAreTakenAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked sync.WaitGroup
	take := func() int {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr()+"/debug/pprof/heap?seconds=30", nil)
		if err != nil {
			return 0
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	for range 2 {
		asked.Go(func() {
			for take() == http.StatusServiceUnavailable { // the one that looks below was first
				<-time.After(time.Millisecond)
			}
		})
	}
	require.Eventually(t, func() bool {
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr()+"/debug/pprof/heap?seconds=30", nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusServiceUnavailable
	}, 20*time.Second, 10*time.Millisecond)
	cancel()
	asked.Wait()
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, err := ops.Start(ops.Options{Addr: s.Addr(), Registry: ops.NewRegistry("x"), Logger: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "address already in use")
}
