package tests

import (
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// TestNamedRequestSurvivesKill: a request with an Idempotency-Key is answered as before by a server that was killed in between.
func TestNamedRequestSurvivesKill(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	send := func(path, key string, body any) *answer {
		t.Helper()
		a, err := s.call(t.Context(), http.MethodPost, path, body, "Idempotency-Key", key)
		require.NoError(t, err)
		return a
	}
	lock := map[string]any{"index": 1, "uuid": uuid.NewString()}
	key := map[string]any{"accessMode": "public", "validFrom": time.Now(), "validUntil": time.Now().Add(time.Hour)}
	created, first := send("/locks/1/CreateLock", "a", lock), send("/locks/1/create-temp-key", "b", key)
	require.Equal(t, http.StatusCreated, created.status, created.body)
	require.Equal(t, http.StatusOK, first.status, first.body)
	for range 2 {
		s.restart(t)
		again := send("/locks/1/create-temp-key", "b", key)
		require.Equal(t, first.status, again.status)
		require.Equal(t, first.body, again.body)
		require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		require.Equal(t, created.body, send("/locks/1/CreateLock", "a", lock).body)
		key["maxUses"] = 3
		require.Equal(t, http.StatusUnprocessableEntity, send("/locks/1/create-temp-key", "b", key).status)
		delete(key, "maxUses")
	}
	records := s.conclude(t)
	require.Equal(t, 1, count(records, "TempKeyCreated"))
	require.Equal(t, 2, count(records, "RequestRemembered"))
	out, err := exec.CommandContext(t.Context(), binary, "verify", "--data-dir", s.dir).CombinedOutput()
	require.NoError(t, err, string(out))
}
