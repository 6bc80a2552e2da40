package tests

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/lock"
)

const repeats = 100

// atOnce makes the same call a hundred times at once.
func atOnce(t *testing.T, call func() (*answer, error)) []*answer {
	t.Helper()
	answers := make([]*answer, repeats)
	var group errgroup.Group
	for i := range answers {
		group.Go(func() (err error) {
			answers[i], err = call()
			return err
		})
	}
	require.NoError(t, group.Wait())
	return answers
}

// Bar: the same request ID 100 times concurrently is one use, one movement, and 100 equal answers.
func TestSameRequestIDIsOneOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	creds := s.provision(t, 3)
	for i, travel := range []time.Duration{0, 300 * time.Millisecond} {
		d := s.device(t, creds[i], travels(travel))
		connect(t, d)
		key := s.newKey(t, creds[i].LockID, repeats)

		guests := atOnce(t, func() (*answer, error) { return s.open(t.Context(), false, key, "guest") })
		for _, a := range guests {
			require.Equal(t, http.StatusSeeOther, a.status, a.body)
			require.Equal(t, guests[0].header.Get("Location"), a.header.Get("Location"))
		}
		require.EqualValues(t, 1, s.listed(t, key).UsedCount)
		require.Len(t, d.Movements(), 1)

		programs := atOnce(t, func() (*answer, error) {
			return s.call(t.Context(), http.MethodPost, fmt.Sprintf("/locks/%d/OpenLock", key.lock), map[string]any{"requestId": "program", "reason": "courier"})
		})
		for _, a := range programs {
			require.Equal(t, http.StatusOK, a.status, a.body)
			require.JSONEq(t, programs[0].body, a.body)
		}
		require.Equal(t, "opened", programs[0].said().Outcome)
		require.Len(t, d.Movements(), 2)
		require.EqualValues(t, 1, s.listed(t, key).UsedCount)
		t.Logf("motor of %s: 1 use and 1 movement for %d guests, 1 movement for %d programs, all answers equal", travel, len(guests), len(programs))
	}

	// A lock that is away gets the open once as well.
	key := s.newKey(t, creds[2].LockID, repeats)
	const away = "/confirmation?offline=true&request=guest"
	for _, a := range atOnce(t, func() (*answer, error) { return s.open(t.Context(), false, key, "guest") }) {
		require.Equal(t, http.StatusSeeOther, a.status, a.body)
		require.Equal(t, key.page()+away, a.header.Get("Location"))
	}
	d := s.device(t, creds[2])
	connect(t, d)
	s.becomes(t, key, "guest", lock.Opened)
	require.Len(t, d.Movements(), 1)
	require.EqualValues(t, 1, s.listed(t, key).UsedCount)

	// After a restart the answer is still the same one.
	s.restart(t)
	require.Equal(t, key.page()+away, s.mustOpen(t, key, "guest"))
	records := s.conclude(t)
	require.Equal(t, 5, count(records, "LockOpenRequested"))
	require.Equal(t, 3, count(records, "TempKeyUsed"))
}
