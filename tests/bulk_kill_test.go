package tests

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/verify"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/sqlite"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// bulkProgress is how far a job has come.
type bulkProgress struct {
	Status              string
	Total, Done, Failed int
	Keys                []struct{ KeyUUID, Status, Reason string }
}

func (s *server) bulk(t *testing.T, id int64, n int) (job string) {
	t.Helper()
	keys := make([]any, n)
	for i := range keys {
		keys[i] = map[string]any{"keyUuid": bulkKey(i), "keyIndexNumber": i}
	}
	var said struct{ InstanceID string }
	path := fmt.Sprintf("/locks/%d/BulkAddKeys", id)
	require.NoError(t, json.Unmarshal([]byte(s.must(t, 200, http.MethodPost, path, map[string]any{"keys": keys}).body), &said))
	return said.InstanceID
}

func bulkKey(i int) string { return fmt.Sprintf("card-%04d", i) }

// progress asks how far a job has come; a server that was just killed is asked again.
func (s *server) progress(t *testing.T, id int64, job string) (p bulkProgress) {
	t.Helper()
	a, err := s.patiently(t.Context(), http.MethodGet, fmt.Sprintf("/locks/%d/BulkAddKeys/%s", id, job), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.NoError(t, json.Unmarshal([]byte(a.body), &p))
	return p
}

// addedOnce holds the journal of a lock against its job: each key was added once, in the order of the job.
func addedOnce(t *testing.T, records []journal.Record, id int64, n int) {
	t.Helper()
	var added []string
	for _, r := range records {
		if r.Stream != fmt.Sprintf("lock/%d", id) || r.Type != "KeyAdded" {
			continue
		}
		e, err := lock.UnmarshalEvent(r.Type, r.Data)
		require.NoError(t, err)
		added = append(added, e.(*lock.KeyAdded).Key.UUID)
	}
	want := make([]string, n)
	for i := range want {
		want[i] = bulkKey(i)
	}
	require.Equal(t, want, added, "a key was repeated, left out, or came out of turn")
}

// verifies checks the journal of a server that has ended, as latchkey verify does.
func (s *server) verifies(t *testing.T) {
	t.Helper()
	j, err := sqlite.Open(sqlite.Options{Path: filepath.Join(s.dir, "journal.db")})
	require.NoError(t, err)
	defer j.Close()
	_, err = verify.Check(t.Context(), j, func(f verify.Finding) { t.Error(f) })
	require.NoError(t, err)
}

// Bar: BulkAddKeys is durable and sequential. A server that is killed with signal 9 again and again in the middle goes on where
// the journal has the job, with a device that is told of each key and without one, by itself: nobody calls the lock meanwhile.
func TestBulkAddKeysGoesOnAfterKills(t *testing.T) {
	t.Parallel()
	const keys, kills = 120, 5
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	s := newServer(t)
	creds := s.provision(t, 2)
	d := s.device(t, creds[0], func(o *sim.DeviceOptions) {
		o.Faults = sim.Faults{LatencyMin: 2 * time.Millisecond, LatencyMax: 6 * time.Millisecond}
	})
	connect(t, d)
	told, listed := s.bulk(t, 1, keys), s.bulk(t, 2, keys)
	caught := 0
	for range kills {
		require.True(t, pause(t.Context(), time.Duration(50+random.IntN(150))*time.Millisecond))
		before := len(d.Keys())
		s.restart(t)
		if before < keys {
			caught++
		}
	}
	for id, job := range map[int64]string{1: told, 2: listed} {
		var p bulkProgress
		require.Eventually(t, func() bool { p = s.progress(t, id, job); return p.Status == "ended" }, patience, 50*time.Millisecond, "lock %d", id)
		require.Equal(t, keys, p.Done)
		require.Zero(t, p.Failed)
		for i, k := range p.Keys {
			require.Equal(t, bulkKey(i), k.KeyUUID)
			require.Equal(t, "added", k.Status, k.Reason)
		}
	}
	var on []string
	for _, k := range d.Keys() {
		on = append(on, k.UUID)
	}
	slices.Sort(on)
	require.Len(t, on, keys)
	require.Equal(t, bulkKey(0), on[0])
	require.Positive(t, caught, "no kill met the job: the test has shown nothing")
	records := s.conclude(t)
	addedOnce(t, records, 1, keys)
	addedOnce(t, records, 2, keys)
	s.verifies(t)
}
