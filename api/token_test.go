package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
)

// issuer is an identity provider: its keys, and the set that it publishes.
type issuer struct {
	rsa, weak *rsa.PrivateKey
	ec        *ecdsa.PrivateKey
	set       []byte
}

func number(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := new(issuer)
	var err error
	i.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	i.weak, err = rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	point, err := i.ec.PublicKey.Bytes()
	require.NoError(t, err)
	coordinate := func(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
	i.set, err = json.Marshal(map[string]any{"keys": []map[string]string{
		{"kty": "RSA", "kid": "rsa", "n": number(i.rsa.N), "e": "AQAB"},
		{"kty": "RSA", "kid": "weak", "n": number(i.weak.N), "e": "AQAB"},
		{"kty": "EC", "kid": "ec", "crv": "P-256", "x": coordinate(point[1:33]), "y": coordinate(point[33:])},
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

func TestTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	file := filepath.Join(t.TempDir(), "jwks.json")
	require.NoError(t, os.WriteFile(file, i.set, 0o600))
	s := newServer(t, func(o *api.Options) {
		o.Tokens = api.TokenOptions{JWKS: file, Issuer: "https://id.example", Audience: "latchkey"}
	})
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","ownerId":"ann"}`)

	rsaKID, ecKID := map[string]any{"kid": "rsa"}, map[string]any{"kid": "ec"}
	rs := func(c claims) string { return sign(t, jwt.SigningMethodRS256, i.rsa, c, rsaKID) }
	public, err := x509.MarshalPKIXPublicKey(&i.rsa.PublicKey)
	require.NoError(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	parts := strings.Split(rs(good()), ".")
	segment := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

	for name, token := range map[string]string{
		"RS256":                  rs(good()),
		"ES256":                  sign(t, jwt.SigningMethodES256, i.ec, good(), ecKID),
		"without kid":            sign(t, jwt.SigningMethodRS256, i.rsa, good(), nil),
		"several audiences":      rs(with("aud", []string{"other", "latchkey"})),
		"expired within leeway":  rs(with("exp", start.Add(-20*time.Second).Unix())),
		"nbf within leeway":      rs(with("nbf", start.Add(20*time.Second).Unix())),
		"jku that is not for us": sign(t, jwt.SigningMethodRS256, i.rsa, good(), map[string]any{"kid": "rsa", "jku": "https://evil.example/jwks"}),
	} {
		require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", bearer(token)).status, name)
	}

	for name, c := range map[string]struct{ token, reason string }{
		"expired":              {rs(with("exp", start.Add(-31*time.Second).Unix())), "token-expired"},
		"no exp":               {rs(with("exp", nil)), "token-claim-missing"},
		"exp as text":          {rs(with("exp", "tomorrow")), "token-invalid"},
		"not yet valid":        {rs(with("nbf", start.Add(time.Minute).Unix())), "token-not-yet-valid"},
		"issued in the future": {rs(with("iat", start.Add(time.Hour).Unix())), "token-not-yet-valid"},
		"wrong issuer":         {rs(with("iss", "https://evil.example")), "token-issuer"},
		"no issuer":            {rs(with("iss", nil)), "token-claim-missing"},
		"wrong audience":       {rs(with("aud", "other")), "token-audience"},
		"audience in part":     {rs(with("aud", "latchkey-admin")), "token-audience"},
		"no audience":          {rs(with("aud", nil)), "token-claim-missing"},
		"no user":              {rs(with("sub", nil)), "token-without-user"},
		"empty user":           {rs(with("sub", "")), "token-without-user"},
		"user as a number":     {rs(with("sub", 5)), "token-invalid"},
		"huge user":            {rs(with("sub", strings.Repeat("x", 801))), "token-without-user"},
		"alg none":             {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good(), nil), "token-invalid"},
		"alg NONE":             {segment(`{"alg":"NONE","typ":"JWT"}`) + "." + parts[1] + ".", "token-invalid"},
		"no alg":               {segment(`{"typ":"JWT","kid":"rsa"}`) + "." + parts[1] + "." + parts[2], "token-invalid"},
		"unsigned":             {parts[0] + "." + parts[1] + ".", "token-invalid"},
		"two parts":            {parts[0] + "." + parts[1], "token-invalid"},
		"payload changed":      {parts[0] + "." + segment(`{"sub":"eve","exp":99999999999}`) + "." + parts[2], "token-invalid"},
		"HS256, public key":    {sign(t, jwt.SigningMethodHS256, publicPEM, good(), rsaKID), "token-invalid"},
		"HS256, public DER":    {sign(t, jwt.SigningMethodHS256, public, good(), rsaKID), "token-invalid"},
		"HS256, key of set":    {sign(t, jwt.SigningMethodHS256, tokenSecret, good(), map[string]any{"kid": "oct"}), "token-invalid"},
		"RS384":                {sign(t, jwt.SigningMethodRS384, i.rsa, good(), rsaKID), "token-invalid"},
		"PS256":                {sign(t, jwt.SigningMethodPS256, i.rsa, good(), rsaKID), "token-invalid"},
		"weak RSA key":         {sign(t, jwt.SigningMethodRS256, i.weak, good(), map[string]any{"kid": "weak"}), "token-invalid"},
		"stranger's key":       {sign(t, jwt.SigningMethodRS256, stranger, good(), rsaKID), "token-invalid"},
		"stranger without kid": {sign(t, jwt.SigningMethodRS256, stranger, good(), nil), "token-invalid"},
		"unknown kid":          {sign(t, jwt.SigningMethodRS256, i.rsa, good(), map[string]any{"kid": "other"}), "token-invalid"},
		"kid of another kind":  {sign(t, jwt.SigningMethodRS256, i.rsa, good(), ecKID), "token-invalid"},
		"kid is no text":       {sign(t, jwt.SigningMethodRS256, i.rsa, good(), map[string]any{"kid": 5}), "token-invalid"},
		"key in the token":     {sign(t, jwt.SigningMethodRS256, stranger, good(), map[string]any{"kid": "mine", "jwk": map[string]string{"kty": "RSA", "n": number(stranger.N), "e": "AQAB"}}), "token-invalid"},
		"crit":                 {sign(t, jwt.SigningMethodRS256, i.rsa, good(), map[string]any{"kid": "rsa", "crit": []string{"exp2"}}), "token-invalid"},
		"empty signature EC":   {sign(t, jwt.SigningMethodES256, i.ec, good(), ecKID)[:20], "token-invalid"},
		"zero signature EC":    {segment(`{"alg":"ES256","kid":"ec"}`) + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), "token-invalid"},
		"padded":               {rs(good()) + "=", "token-invalid"},
		"too long":             {rs(with("x", strings.Repeat("x", 9000))), "authorization-invalid"},
	} {
		a := s.call("GET", "/locks/42/details", "", bearer(c.token))
		require.Equal(t, http.StatusUnauthorized, a.status, name)
		require.Equal(t, c.reason, a.json()["reason"], name)
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

func TestKnownKeysOutliveTheirIssuer(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	var down atomic.Bool
	var asked atomic.Int32
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(i.set)
	}))
	t.Cleanup(provider.Close)
	s := newServer(t, func(o *api.Options) { o.Tokens = api.TokenOptions{JWKS: provider.URL} })
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","ownerId":"ann"}`)
	known := bearer(sign(t, jwt.SigningMethodRS256, i.rsa, good(), map[string]any{"kid": "rsa"}))
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", known).status)
	down.Store(true)
	for range 50 {
		unknown := bearer(sign(t, jwt.SigningMethodES256, i.ec, good(), map[string]any{"kid": "x" + time.Now().String()}))
		s.call("GET", "/locks/42/details", "", unknown).requireError(http.StatusUnauthorized, "token-invalid")
	}
	require.LessOrEqual(t, asked.Load(), int32(2), "unknown keys do not flood the issuer")
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", known).status)
}
