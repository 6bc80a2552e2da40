package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// Bar: after a restore of a backup every door opens at the first try, and its device is set up as the backup says: the device has seen
// a future that the server knows nothing of, with higher epochs and a higher configuration.
func TestADoorOpensAtOnceAfterARestore(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.provision(t, 1)[0]
	d := s.device(t, c)
	connect(t, d)
	key := s.newKey(t, c.LockID, 0)
	opens := func(request string) {
		s.mustOpen(t, key, request)
		require.Equal(t, lock.Opened, s.becomes(t, key, request, lock.Opened, lock.Refused, lock.Unknown), request)
	}
	setUp := func(relockMs int) {
		s.must(t, http.StatusOK, http.MethodPost, "/locks/1/SetConfig", map[string]any{"relockMs": relockMs})
	}
	opens("before")
	setUp(700)
	s.awaitConfig(t, d)

	backup := t.TempDir()
	s.stop(t)
	require.NoError(t, os.CopyFS(backup, os.DirFS(s.dir)))
	s.start(t)
	awaitSession(t, d, "")
	for i := range 12 {
		opens(fmt.Sprint("lost", i))
	}
	setUp(900)
	future := s.awaitConfig(t, d)

	s.stop(t)
	require.NoError(t, os.RemoveAll(s.dir))
	require.NoError(t, os.CopyFS(s.dir, os.DirFS(backup)))
	s.start(t)
	awaitSession(t, d, "")
	require.Less(t, s.awaitConfig(t, d), future, "the device takes the number of the backup, although it is lower")
	opens("after")
	setUp(900)
	s.awaitConfig(t, d)
	require.Len(t, d.Movements(), 14)
}

// Bar: a device that has served another lock for years serves a fresh one: its events are heard, it opens, and it is set up as this one says.
func TestAUsedDeviceServesAFreshLock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.provision(t, 1)[0]
	path := filepath.Join(t.TempDir(), "flash")
	used := fmt.Sprintf(`{"lock":%q,"acked":2000000,"config":{"Config":5000,"RelockMs":30000}}`+"\n", c.LockUUID)
	require.NoError(t, os.WriteFile(path, []byte(used), 0o600))
	flashes, err := sim.OpenFlashFile(path)
	require.NoError(t, err)
	d := s.device(t, c, func(o *sim.DeviceOptions) { o.Flash = flashes.Flash(c.LockUUID) })
	require.EqualValues(t, 5000, d.Config())
	s.must(t, http.StatusOK, http.MethodPost, "/locks/1/SetConfig", map[string]any{"relockMs": 700})
	connect(t, d)
	require.Less(t, s.awaitConfig(t, d), uint64(100))
	key := s.newKey(t, c.LockID, 1)
	s.mustOpen(t, key, "r")
	require.Equal(t, lock.Opened, s.becomes(t, key, "r", lock.Opened, lock.Refused, lock.Unknown))
	d.Report("tamper", "cover")
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(s.events(t, c.LockID), func(e publicEvent) bool { return strings.Contains(fmt.Sprint(e.Event), "tamper") })
	}, patience, pollEvery, "its events are heard")
	d.Stop()
	require.NoError(t, flashes.Close())
	s.conclude(t)
}

// stop ends the server in good order.
func (s *server) stop(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, s.exit(t), s.stderr())
}

// awaitConfig waits until lock 1 and its device have the same configuration, and tells its number.
func (s *server) awaitConfig(t *testing.T, d *sim.Device) (number uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		var details struct {
			Config struct {
				Number  uint64
				Applied bool
			}
		}
		require.NoError(t, json.Unmarshal([]byte(s.must(t, http.StatusOK, http.MethodGet, "/locks/1/details", nil).body), &details))
		number = details.Config.Number
		return details.Config.Applied && d.Config() == number
	}, patience, pollEvery, "the device is not set up as the lock says")
	return number
}
