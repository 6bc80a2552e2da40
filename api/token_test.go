package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
)

// issuer is an identity provider: its keys, and the set that it publishes.
type issuer struct {
	rsa, weak, rsa512 *rsa.PrivateKey
	ec, p384          *ecdsa.PrivateKey
	set               []byte
}

func number(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := new(issuer)
	var err error
	i.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	i.rsa512, err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	i.p384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	i.weak, err = rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	point, err := i.ec.PublicKey.Bytes()
	require.NoError(t, err)
	larger, err := i.p384.PublicKey.Bytes()
	require.NoError(t, err)
	coordinate := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	i.set, err = json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "RSA", "kid": "rsa", "n": number(i.rsa.N), "e": "AQAB"},
		{"kty": "RSA", "kid": "weak", "n": number(i.weak.N), "e": "AQAB"},
		{"kty": "EC", "kid": "ec", "crv": "P-256", "x": coordinate(point[1:33]), "y": coordinate(point[33:])},
		{"kty": "RSA", "kid": "rsa512", "alg": "RS512", "n": number(i.rsa512.N), "e": "AQAB"},
		{"kty": "RSA", "kid": "enc", "use": "enc", "n": number(i.rsa512.N), "e": "AQAB"},
		{"kty": "EC", "kid": "p384", "crv": "P-384", "x": coordinate(larger[1:49]), "y": coordinate(larger[49:])},
		{"kty": "oct", "kid": "oct", "k": base64.RawURLEncoding.EncodeToString(tokenSecret)},
	}})
	require.NoError(t, err)
	return i
}

type claims = jwt.MapClaims

func good() claims {
	return claims{"sub": "ann", "iss": "https://id.example", "aud": "latchkey", "exp": start.Add(time.Hour).Unix(), "iat": start.Unix()}
}

func with(name string, value any) claims {
	c := good()
	if value == nil {
		delete(c, name)
	} else {
		c[name] = value
	}
	return c
}

func sign(t *testing.T, method jwt.SigningMethod, key any, c claims, header map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	for name, value := range header {
		token.Header[name] = value
	}
	signed, err := token.SignedString(key)
	require.NoError(t, err)
	return signed
}

// tokenServer takes the tokens of an issuer, and has a lock of ann's.
func tokenServer(t *testing.T, i *issuer) *server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jwks.json")
	require.NoError(t, os.WriteFile(file, i.set, 0o600))
	s := newServer(t, func(o *api.Options) {
		o.Tokens = api.TokenOptions{JWKS: file, Issuer: "https://id.example", Audience: "latchkey"}
	})
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","ownerId":"ann"}`)
	return s
}

func TestGoodTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := tokenServer(t, i)
	rs := func(c claims) string { return sign(t, jwt.SigningMethodRS256, i.rsa, c, map[string]any{"kid": "rsa"}) }
	typed := func(typ string) string {
		return sign(t, jwt.SigningMethodRS256, i.rsa, good(), map[string]any{"kid": "rsa", "typ": typ})
	}
	untyped := jwt.NewWithClaims(jwt.SigningMethodRS256, good())
	delete(untyped.Header, "typ")
	bare, err := untyped.SignedString(i.rsa)
	require.NoError(t, err)
	for name, token := range map[string]string{
		"RS256":                  rs(good()),
		"ES256":                  sign(t, jwt.SigningMethodES256, i.ec, good(), map[string]any{"kid": "ec"}),
		"without kid":            sign(t, jwt.SigningMethodRS256, i.rsa, good(), nil),
		"without typ":            bare,
		"typ jwt":                typed("jwt"),
		"typ at+jwt":             typed("at+jwt"),
		"typ application/at+jwt": typed("application/at+JWT"),
		"several audiences":      rs(with("aud", []string{"other", "latchkey"})),
		"expired within leeway":  rs(with("exp", start.Add(-29*time.Second).Unix())),
		"nbf within leeway":      rs(with("nbf", start.Add(29*time.Second).Unix())),
		"fractions of seconds":   rs(with("exp", 1e-3+float64(start.Add(time.Hour).Unix()))),
		"claims of others":       rs(with("https://example.com/roles", map[string]any{"sub": []string{"a", "a"}, "exp": nil})),
		"a name in other places": rs(with("x", []any{map[string]any{"sub": "a"}, map[string]any{"sub": "b"}, "sub", "sub"})),
	} {
		require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", bearer(token)).status, name)
	}
}

func TestTokensWithSharedSecret(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","ownerId":"ann"}`)
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", bearer(token(t, "ann"))).status)
	require.Equal(t, http.StatusNotFound, s.call("GET", "/locks/42/details", "", bearer(token(t, "Ann"))).status)
	s.call("GET", "/locks/42/details", "", bearer(sign(t, jwt.SigningMethodHS512, tokenSecret, good(), nil))).requireError(http.StatusUnauthorized, "token-invalid")
	s.call("GET", "/locks/42/details", "", bearer(sign(t, jwt.SigningMethodHS256, []byte("another secret of thirty-two char"), good(), nil))).requireError(http.StatusUnauthorized, "token-invalid")
	i := newIssuer(t)
	s.call("GET", "/locks/42/details", "", bearer(sign(t, jwt.SigningMethodRS256, i.rsa, good(), nil))).requireError(http.StatusUnauthorized, "token-invalid")
}

func TestWithoutTokensNoneAreTaken(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *api.Options) { o.Tokens = api.TokenOptions{} })
	s.call("GET", "/locks/42/details", "", bearer(token(t, "ann"))).requireError(http.StatusUnauthorized, "tokens-not-taken")
	empty := sign(t, jwt.SigningMethodHS256, []byte{}, good(), nil)
	s.call("GET", "/locks/42/details", "", bearer(empty)).requireError(http.StatusUnauthorized, "tokens-not-taken")
}
