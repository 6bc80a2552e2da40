package tests

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/latchkey/latchkey/internal/dose"
)

const (
	diskRoom    = 32 << 10 // that the journal has left when the disk is full
	diskCallers = 4
	diskPace    = 20 * time.Millisecond // from open to open: a device reports no more a second than this makes it
)

// Bar: the disk gets full under load. Nothing is acknowledged that is not stored; the server says on /readyz that it is not ready, and
// ends by itself with an error. When there is room again it starts, and has all that it acknowledged.
func TestServerWithAFullDisk(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, cred := range s.provision(t, diskCallers) {
		connect(t, s.device(t, cred))
	}
	for range dose.Of(1, 50) {
		fillDisk(t, s)
	}
	s.conclude(t)
}

// fillDisk leaves no room for the server's journal, and makes room again when it has ended.
func fillDisk(t *testing.T, s *server) {
	t.Helper()
	keys := make([]guestKey, diskCallers)
	for i := range keys {
		keys[i] = s.newKey(t, int64(i+1), 0)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var callers errgroup.Group
	for _, key := range keys {
		callers.Go(func() error {
			for pause(ctx, diskPace) {
				if _, err := s.open(ctx, false, key, uuid.NewString()); err != nil {
					return nil // the server has gone
				}
			}
			return nil
		})
	}
	require.True(t, pause(t.Context(), time.Second))
	var size int64
	for _, name := range []string{"journal.db", "journal.db-wal"} {
		info, err := os.Stat(filepath.Join(s.dir, name))
		require.NoError(t, err)
		size = max(size, info.Size())
	}
	full := unix.Rlimit{Cur: uint64(size + diskRoom), Max: unix.RLIM_INFINITY}
	require.NoError(t, unix.Prlimit(s.cmd.Process.Pid, unix.RLIMIT_FSIZE, &full, nil))
	unready := false
	require.Eventually(t, func() bool {
		select {
		case <-s.exited:
			return true
		default:
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.ops+"/readyz", nil)
		require.NoError(t, err)
		if response, err := s.web.Do(request); err == nil {
			unready = unready || response.StatusCode == http.StatusServiceUnavailable
			response.Body.Close()
		}
		return false
	}, patience, time.Millisecond)
	require.NotZero(t, s.exit(t), s.stderr())
	require.True(t, unready, "it has not said that it is not ready")
	cancel()
	require.NoError(t, callers.Wait())
	s.start(t)
}
