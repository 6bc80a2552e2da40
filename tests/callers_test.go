package tests

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// A platform sees its own locks and nobody else's, a user opens what is theirs or what names them, and whoever else
// comes to the door gets a clear answer.
func TestWhoMayOpen(t *testing.T) {
	t.Parallel()
	secret := []byte("a secret of thirty-two characters")
	file := filepath.Join(t.TempDir(), "jwt-secret")
	require.NoError(t, os.WriteFile(file, secret, 0o600))
	s := newServer(t, "--jwt-hs256-secret-file", file, "--jwt-issuer", "https://id.example", "--jwt-audience", "latchkey")
	token := func(user, audience string, valid time.Duration) string {
		claims := jwt.MapClaims{"sub": user, "iss": "https://id.example", "aud": audience, "exp": time.Now().Add(valid).Unix()}
		signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
		require.NoError(t, err)
		return "Bearer " + signed
	}
	const post, get = http.MethodPost, http.MethodGet
	hotel := s.must(t, 201, post, "/organizations/hotel/api-keys", map[string]any{}).said().Key
	hostel := s.must(t, 201, post, "/organizations/hostel/api-keys", map[string]any{}).said().Key
	device, key := uuid.NewString(), uuid.NewString()
	s.must(t, 201, post, "/locks/1/CreateLock", map[string]any{"index": 1, "uuid": device}, "X-API-Key", hotel)
	s.must(t, 200, post, "/locks/1/SetOwner", map[string]any{"userId": "olga"}, "X-API-Key", hotel)
	rotated := s.must(t, 200, post, "/locks/1/RotateDeviceSecret", map[string]any{}, "X-API-Key", hotel).said().Secret
	d := s.device(t, credential(1, device, rotated))
	connect(t, d)
	now := time.Now().UTC()
	s.must(t, 200, post, "/locks/1/create-temp-key", map[string]any{
		"tempKeyUuid": key, "accessMode": "user-whitelist", "allowedUserIds": []string{"ann"}, "validFrom": now, "validUntil": now.Add(time.Hour),
	}, "X-API-Key", hotel)

	open := "/temp-keys/" + key + "/open"
	for _, c := range []struct {
		who, path     string
		apiKey, token string
		status        int
		reason        string
	}{
		{"a guest without a token", open, "", "", 403, "temp-key-not-for-you"},
		{"another user", open, "", token("bob", "latchkey", time.Hour), 403, "temp-key-not-for-you"},
		{"a token of another service", open, "", token("ann", "elsewhere", time.Hour), 401, "token-audience"},
		{"a token of yesterday", open, "", token("ann", "latchkey", -24*time.Hour), 401, "token-expired"},
		{"the guest", open, "", token("ann", "latchkey", time.Hour), 303, ""},
		{"the owner", "/locks/1/OpenLock", "", token("olga", "latchkey", time.Hour), 200, ""},
		{"the guest, like an owner", "/locks/1/OpenLock", "", token("ann", "latchkey", time.Hour), 404, "lock-not-found"},
		{"the platform", "/locks/1/OpenLock", hotel, "", 200, ""},
		{"another platform", "/locks/1/OpenLock", hostel, "", 404, "lock-not-found"},
		{"nobody", "/locks/1/OpenLock", "", "", 401, "credentials-required"},
		{"a made-up key", "/locks/1/OpenLock", "lk_made-up", "", 401, "api-key-mistyped"},
	} {
		a, err := s.call(t.Context(), post, c.path, map[string]any{}, "X-API-Key", c.apiKey, "Authorization", c.token)
		require.NoError(t, err)
		require.Equal(t, c.status, a.status, "%s: %s", c.who, a.body)
		require.Equal(t, c.reason, a.said().Reason, c.who)
	}
	require.Len(t, d.Movements(), 3, "the guest, the owner and the platform")
	s.must(t, 400, get, "/locks/1/details", nil, "X-Org-Id", "hotel")
	s.must(t, 404, get, "/locks/1/temp-keys", nil, "X-API-Key", hostel)
	require.Equal(t, 3, count(s.conclude(t), (&lock.LockOpened{}).EventType()))
}
