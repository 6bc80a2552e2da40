package tests

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// Bar: an open to an offline lock is answered 303 with offline=true. A device that is back within the deadline opens once;
// one that is back later never opens, and the use has come back.
func TestOpenToAnOfflineLock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	creds := s.provision(t, 2)
	early, late := s.device(t, creds[0]), s.device(t, creds[1])
	keys := []guestKey{s.newKey(t, 1, 1), s.newKey(t, 2, 1)}

	for _, key := range keys {
		start := time.Now()
		to, err := url.Parse(s.mustOpen(t, key, "first"))
		require.NoError(t, err)
		require.Less(t, time.Since(start), 3*time.Second, "the guest need not wait for a lock that is away")
		require.Equal(t, "true", to.Query().Get("offline"))
		page := s.must(t, http.StatusOK, http.MethodGet, to.String(), nil).body
		require.Contains(t, page, `data-outcome="reserved"`)
		require.Contains(t, page, "Waiting for the lock")
		require.Contains(t, page, `http-equiv="refresh"`, "the page keeps itself current")
		require.EqualValues(t, 1, s.listed(t, key).UsedCount, "the use is reserved")
	}
	a := s.must(t, http.StatusBadGateway, http.MethodPost, "/locks/1/OpenLock", map[string]any{})
	require.Equal(t, "device-offline", a.said().Reason, "a program hears it at once")

	connect(t, early)
	s.becomes(t, keys[0], "first", lock.Opened)
	require.Len(t, early.Movements(), 1)
	require.EqualValues(t, 1, s.listed(t, keys[0]).UsedCount)

	s.becomes(t, keys[1], "first", lock.Expired)
	require.Zero(t, s.listed(t, keys[1]).UsedCount, "the use has come back")
	connect(t, late)
	require.Contains(t, s.must(t, http.StatusOK, http.MethodGet, keys[1].confirmation("first"), nil).body, "not counted")
	// The next open shows that the one before is over for good: it moves the motor, and nothing else does.
	s.mustOpen(t, keys[1], "second")
	s.becomes(t, keys[1], "second", lock.Opened)
	require.Len(t, late.Movements(), 1)
	require.Equal(t, lock.Expired, s.becomes(t, keys[1], "first", lock.Expired))
	require.EqualValues(t, 1, s.listed(t, keys[1]).UsedCount)

	t.Logf("back in time: 1 movement %d ms before its deadline; back late: 0 movements, the use came back", early.Movements()[0].MarginMs)
	require.Equal(t, 1, count(s.conclude(t), "TempKeyUseReturned"))
}

// An open that is held survives kill -9 with its deadline.
func TestHeldOpenSurvivesKill(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	creds := s.provision(t, 2)
	early, late := s.device(t, creds[0]), s.device(t, creds[1])
	keys := []guestKey{s.newKey(t, 1, 1), s.newKey(t, 2, 1)}
	for _, key := range keys {
		s.mustOpen(t, key, "r")
	}
	s.restart(t)
	for _, key := range keys {
		s.becomes(t, key, "r", lock.Reserved)
	}
	connect(t, early)
	s.becomes(t, keys[0], "r", lock.Opened)
	require.Len(t, early.Movements(), 1)

	s.becomes(t, keys[1], "r", lock.Expired)
	s.restart(t)
	connect(t, late)
	s.becomes(t, keys[1], "r", lock.Expired)
	require.Empty(t, late.Movements())
	require.Zero(t, s.listed(t, keys[1]).UsedCount)
	s.conclude(t)
}
