package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal" //nolint:depguard // what a newer program has stored is put in place
)

// A platform that missed a rotation has to be found, from a line that does not have the key.
func TestRefusedAPIKeysAreNamedInTheLog(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	key := s.orgKey("hotel-9")
	id := s.super("GET", "/organizations/hotel-9/api-keys", "").json()["apiKeys"].([]any)[0].(map[string]any)["keyId"].(string)
	require.Equal(t, http.StatusOK, s.super("POST", "/organizations/hotel-9/api-keys/"+id+"/revoke", "").status)
	s.clock.Advance(2 * time.Second)
	for range 50 {
		s.call("GET", "/locks/42/details", "", as(key)).requireError(http.StatusUnauthorized, "api-key-revoked")
	}
	foreign := "a password of somebody else's, which is long enough"
	s.call("GET", "/locks/42/details", "", as(foreign)).requireError(http.StatusUnauthorized, "api-key-invalid")
	mistyped := key[:len(key)-1]
	s.call("GET", "/locks/42/details", "", as(mistyped)).requireError(http.StatusUnauthorized, "api-key-mistyped")

	text := s.logs.String()
	require.Contains(t, text, `"reason":"api-key-revoked","address":"127.0.0.1","prefix":"`+key[:9]+`","key":"`+id+`","organization":"hotel-9"`)
	require.Contains(t, text, `"reason":"api-key-invalid","address":"127.0.0.1","prefix":""`)
	require.Contains(t, text, `"reason":"api-key-mistyped","address":"127.0.0.1","prefix":"`+key[:9]+`"`)
	require.Less(t, strings.Count(text, "an API key was refused"), 30)
	for _, secret := range []string{key[:len(key)-6], foreign, superKey} {
		require.NotContains(t, text, secret)
	}
}

// An old member of a cluster does not act on half of what a newer one says of a key, and sends callers to where it is known.
func TestWhatANewerServerStoredIsUnavailable(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	key := s.orgKey("hotel-9")
	version, _, err := s.journal.Head(t.Context(), "org/hotel-9")
	require.NoError(t, err)
	_, err = journal.Do(t.Context(), s.journal, journal.Append{
		Stream: "org/hotel-9", Expected: version, ID: "newer",
		Records: []journal.NewRecord{{Type: "OrganizationRegistered", Time: start, Data: []byte(`{"orgId":"hotel-9","name":"Nine","motto":"x"}`)}},
	})
	require.NoError(t, err)
	s.clock.Advance(time.Minute)
	a := s.call("GET", "/locks/42/details", "", as(key))
	a.requireError(http.StatusServiceUnavailable, "unavailable")
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Contains(t, s.logs.String(), "newer version of this program")
	require.Contains(t, s.logs.String(), "motto")
}
