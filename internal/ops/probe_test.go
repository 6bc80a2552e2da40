package ops_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/ops"
)

// A probe that does not end with its context, as the look at a file on a disk that hangs, takes neither /readyz nor the metrics away.
func TestAProbeThatHangs(t *testing.T) {
	t.Parallel()
	s := start(t)
	var begun atomic.Int64
	back, looked := make(chan struct{}), make(chan struct{}, 1)
	s.Watch(ops.Check{Name: "journal", Probe: func(context.Context) error {
		begun.Add(1)
		<-back
		select {
		case looked <- struct{}{}:
		default:
		}
		return nil
	}})
	s.Watch(ops.Check{Name: "etcd", Probe: func(context.Context) error { return nil }})
	s.Ready()

	begin := time.Now()
	code, body := get(t, s, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.JSONEq(t, `{"status": "unready", "dependencies": {"journal": {"status": "down", "error": "it does not answer"}, "etcd": {"status": "up"}}}`, body)
	code, body = get(t, s, "/metrics")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, `latchkey_ops_dependency_up{dependency="journal"} 0`)
	require.Less(t, time.Since(begin), 15*time.Second)
	require.EqualValues(t, 1, begun.Load(), "nothing piles up")

	close(back)
	<-looked
	code, _ = get(t, s, "/readyz")
	require.Equal(t, http.StatusOK, code)
}
