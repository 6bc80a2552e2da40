package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"

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
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, err := ops.Start(ops.Options{Addr: s.Addr(), Registry: ops.NewRegistry("x"), Logger: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "address already in use")
}
