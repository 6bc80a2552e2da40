package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// segment is a part of a token that says this.
func segment(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// signRaw signs a header and claims as they are written, with names twice or whatever else no library would write.
func (i *issuer) signRaw(t *testing.T, header, claims string) string {
	t.Helper()
	text := segment(header) + "." + segment(claims)
	signature, err := jwt.SigningMethodRS256.Sign(text, i.rsa)
	require.NoError(t, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Whoever made these tokens knows RFC 8725, and all that is public about the server and its issuer. Those that only the issuer
// could have signed stand for an issuer that signs for others too, or that can be talked into signing.
func TestHostileTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := tokenServer(t, i)
	var lured atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		lured.Add(1)
		_, _ = w.Write(i.set)
	}))
	t.Cleanup(evil.Close)

	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	strangerEC, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&i.rsa.PublicKey)
	require.NoError(t, err)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})

	kid := func(name any) map[string]any { return map[string]any{"kid": name} }
	rs := func(c claims) string { return sign(t, jwt.SigningMethodRS256, i.rsa, c, kid("rsa")) }
	head := func(name string, value any) string {
		return sign(t, jwt.SigningMethodRS256, i.rsa, good(), map[string]any{"kid": "rsa", name: value})
	}
	theirs := func(header map[string]any) string { return sign(t, jwt.SigningMethodRS256, stranger, good(), header) }
	own := map[string]string{"kty": "RSA", "kid": "mine", "n": number(stranger.N), "e": "AQAB"}
	parts := strings.Split(rs(good()), ".")
	const rsHeader = `{"alg":"RS256","typ":"JWT","kid":"rsa"}`
	exp := start.Add(time.Hour).Unix()
	body := func(more string) string {
		return fmt.Sprintf(`{"sub":"ann","iss":"https://id.example","aud":"latchkey","exp":%d%s}`, exp, more)
	}
	mac := hmac.New(sha256.New, nil)
	mac.Write([]byte(segment(`{"alg":"HS256","kid":"oct"}`) + "." + parts[1]))
	flipped := []byte(parts[2])
	flipped[20] ^= 1

	hostile := []struct{ name, token, reason string }{
		// The algorithm is the server's to choose.
		{"alg none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good(), nil), "token-invalid"},
		{"alg None, to get around a list", segment(`{"alg":"None","typ":"JWT"}`) + "." + parts[1] + ".", "token-invalid"},
		{"alg NONE with a good signature", segment(`{"alg":"NONE","kid":"rsa"}`) + "." + parts[1] + "." + parts[2], "token-invalid"},
		{"alg missing", segment(`{"typ":"JWT","kid":"rsa"}`) + "." + parts[1] + "." + parts[2], "token-invalid"},
		{"alg empty", segment(`{"alg":"","kid":"rsa"}`) + "." + parts[1] + "." + parts[2], "token-invalid"},
		{"alg null", segment(`{"alg":null,"kid":"rsa"}`) + "." + parts[1] + ".", "token-invalid"},
		{"alg as a list", segment(`{"alg":["RS256","none"],"kid":"rsa"}`) + "." + parts[1] + "." + parts[2], "token-invalid"},
		{"alg in small letters", segment(`{"alg":"rs256","kid":"rsa"}`) + "." + parts[1] + "." + parts[2], "token-invalid"},
		{"HS256 with the public key in PEM", sign(t, jwt.SigningMethodHS256, publicPEM, good(), kid("rsa")), "token-invalid"},
		{"HS256 with the public key in DER", sign(t, jwt.SigningMethodHS256, public, good(), kid("rsa")), "token-invalid"},
		{"HS256 with a secret of the set", sign(t, jwt.SigningMethodHS256, tokenSecret, good(), kid("oct")), "token-invalid"},
		{"HS256 with no secret", segment(`{"alg":"HS256","kid":"oct"}`) + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), "token-invalid"},
		{"RS384, not on the list", sign(t, jwt.SigningMethodRS384, i.rsa, good(), kid("rsa")), "token-invalid"},
		{"PS256, not on the list", sign(t, jwt.SigningMethodPS256, i.rsa, good(), kid("rsa")), "token-invalid"},
		{"ES384, not on the list", sign(t, jwt.SigningMethodES384, i.p384, good(), kid("p384")), "token-invalid"},

		// So is the key.
		{"stranger's key", theirs(kid("rsa")), "token-invalid"},
		{"stranger's key without kid", theirs(nil), "token-invalid"},
		{"stranger's EC key", sign(t, jwt.SigningMethodES256, strangerEC, good(), kid("ec")), "token-invalid"},
		{"jwk brings its own key", theirs(map[string]any{"kid": "mine", "jwk": own}), "token-invalid"},
		{"jwk under a kid that is known", theirs(map[string]any{"kid": "rsa", "jwk": own}), "token-invalid"},
		{"jku leads elsewhere", theirs(map[string]any{"kid": "mine", "jku": evil.URL}), "token-invalid"},
		{"x5u leads elsewhere", theirs(map[string]any{"kid": "mine", "x5u": evil.URL}), "token-invalid"},
		{"x5c brings a certificate", theirs(map[string]any{"kid": "rsa", "x5c": []string{base64.StdEncoding.EncodeToString(public)}}), "token-invalid"},
		{"kid unknown", sign(t, jwt.SigningMethodRS256, i.rsa, good(), kid("other")), "token-invalid"},
		{"kid of a key of another kind", sign(t, jwt.SigningMethodRS256, i.rsa, good(), kid("ec")), "token-invalid"},
		{"kid of a key for another algorithm", sign(t, jwt.SigningMethodRS256, i.rsa512, good(), kid("rsa512")), "token-invalid"},
		{"kid of a key for encryption", sign(t, jwt.SigningMethodRS256, i.rsa512, good(), kid("enc")), "token-invalid"},
		{"kid of a weak key", sign(t, jwt.SigningMethodRS256, i.weak, good(), kid("weak")), "token-invalid"},
		{"no kid and the weak key", sign(t, jwt.SigningMethodRS256, i.weak, good(), nil), "token-invalid"},
		{"kid as a number", sign(t, jwt.SigningMethodRS256, i.rsa, good(), kid(5)), "token-invalid"},
		{"kid empty", sign(t, jwt.SigningMethodRS256, i.rsa, good(), kid("")), "token-invalid"},
		{"kid as a path", theirs(kid("../../../../dev/null")), "token-invalid"},
		{"kid as a query", theirs(kid("rsa' UNION SELECT 'k")), "token-invalid"},
		{"kid huge", theirs(kid(strings.Repeat("k", 4000))), "token-invalid"},

		// The signature covers all, and is there.
		{"unsigned", parts[0] + "." + parts[1] + ".", "token-invalid"},
		{"two parts", parts[0] + "." + parts[1], "token-invalid"},
		{"four parts", rs(good()) + "." + parts[2], "token-invalid"},
		{"five parts, as if encrypted", rs(good()) + "." + parts[1] + "." + parts[2], "token-invalid"},
		{"payload changed", parts[0] + "." + segment(body(`,"sub":"eve"`)) + "." + parts[2], "token-invalid"},
		{"header changed", segment(`{"alg":"RS256","kid":"rsa","x":1}`) + "." + parts[1] + "." + parts[2], "token-invalid"},
		{"a bit of the signature changed", parts[0] + "." + parts[1] + "." + string(flipped), "token-invalid"},
		{"signature cut", rs(good())[:len(rs(good()))-8], "token-invalid"},
		{"signature padded", rs(good()) + "==", "token-invalid"},
		{"EC signature of zeros", segment(`{"alg":"ES256","kid":"ec"}`) + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), "token-invalid"},
		{"EC signature empty", segment(`{"alg":"ES256","kid":"ec"}`) + "." + parts[1] + ".", "token-invalid"},
		{"white space inside", parts[0] + ". " + parts[1] + "." + parts[2], "token-invalid"},

		// It must mean here what its issuer meant.
		{"crit", head("crit", []string{"exp2"}), "token-invalid"},
		{"b64 false", head("b64", false), "token-invalid"},
		{"zip", head("zip", "DEF"), "token-invalid"},
		{"typ of a logout token", head("typ", "logout+jwt"), "token-invalid"},
		{"typ of a proof of possession", head("typ", "dpop+jwt"), "token-invalid"},
		{"typ as a number", head("typ", 1), "token-invalid"},
		{"sub twice", i.signRaw(t, rsHeader, body(`,"sub":"ann"`)), "token-invalid"},
		{"exp twice", i.signRaw(t, rsHeader, body(fmt.Sprintf(`,"exp":%d`, exp))), "token-invalid"},
		{"aud twice", i.signRaw(t, rsHeader, strings.Replace(body(""), `"aud"`, `"aud":"other","aud"`, 1)), "token-invalid"},
		{"alg twice", i.signRaw(t, `{"alg":"none","kid":"rsa","alg":"RS256"}`, body("")), "token-invalid"},
		{"a name twice, written in two ways", i.signRaw(t, rsHeader, body(`,"\u0073ub":"ann"`)), "token-invalid"},
		{"claims as a list", i.signRaw(t, rsHeader, `["ann"]`), "token-invalid"},
		{"claims null", i.signRaw(t, rsHeader, `null`), "token-claim-missing"},
		{"claims followed by more", i.signRaw(t, rsHeader, body("")+`{}`), "token-invalid"},
		{"claims nested deeply", i.signRaw(t, rsHeader, body(`,"x":`+strings.Repeat("[", 600)+strings.Repeat("]", 600))), "token-invalid"},

		// It must be for us, from them, and now.
		{"exp missing", rs(with("exp", nil)), "token-claim-missing"},
		{"EXP instead of exp", i.signRaw(t, rsHeader, strings.Replace(body(""), "exp", "EXP", 1)), "token-claim-missing"},
		{"exp past the leeway", rs(with("exp", start.Add(-31*time.Second).Unix())), "token-expired"},
		{"exp as text", rs(with("exp", "tomorrow")), "token-invalid"},
		{"exp beyond all time", i.signRaw(t, rsHeader, strings.Replace(body(""), fmt.Sprint(exp), "1e300", 1)), ""},
		{"exp beyond all numbers", i.signRaw(t, rsHeader, strings.Replace(body(""), fmt.Sprint(exp), "1e400", 1)), "token-invalid"},
		{"exp negative", rs(with("exp", -1)), "token-expired"},
		{"exp null", i.signRaw(t, rsHeader, strings.Replace(body(""), fmt.Sprint(exp), "null", 1)), "token-invalid"},
		{"nbf past the leeway", rs(with("nbf", start.Add(31*time.Second).Unix())), "token-not-yet-valid"},
		{"iat past the leeway", rs(with("iat", start.Add(31*time.Second).Unix())), "token-not-yet-valid"},
		{"iss of another", rs(with("iss", "https://evil.example")), "token-issuer"},
		{"iss with more behind it", rs(with("iss", "https://id.example.evil.example")), "token-issuer"},
		{"iss with a slash", rs(with("iss", "https://id.example/")), "token-issuer"},
		{"iss as a list", rs(with("iss", []string{"https://id.example"})), "token-invalid"},
		{"iss missing", rs(with("iss", nil)), "token-claim-missing"},
		{"aud of another", rs(with("aud", "other")), "token-audience"},
		{"aud in part", rs(with("aud", "latchkey-admin")), "token-audience"},
		{"aud in one of two words", rs(with("aud", "latchkey other")), "token-audience"},
		{"aud as a list of nothing", rs(with("aud", []string{})), "token-claim-missing"},
		{"aud as an object", rs(with("aud", map[string]any{"latchkey": true})), "token-claim-missing"},
		{"aud missing", rs(with("aud", nil)), "token-claim-missing"},

		// It must name one user.
		{"sub missing", rs(with("sub", nil)), "token-without-user"},
		{"Sub instead of sub", i.signRaw(t, rsHeader, strings.Replace(body(""), "sub", "Sub", 1)), "token-without-user"},
		{"sub empty", rs(with("sub", "")), "token-without-user"},
		{"sub as a number", rs(with("sub", 5)), "token-invalid"},
		{"sub as a list", rs(with("sub", []string{"ann"})), "token-invalid"},
		{"sub huge", rs(with("sub", strings.Repeat("x", 801))), "token-without-user"},
		{"sub with a line break", rs(with("sub", "ann\nsuper")), "token-without-user"},
		{"sub with a line separator", rs(with("sub", "ann\u2028super")), "token-without-user"},
		{"sub that turns text", rs(with("sub", "ann\u202ereppus")), "token-without-user"},

		{"the whole token huge", rs(with("x", strings.Repeat("x", 9000))), "authorization-invalid"},
		{"a million dots", strings.Repeat(".", 8000), "token-invalid"},
		{"not base64", "?." + parts[1] + "." + parts[2], "token-invalid"},
		{"not JSON", segment("latchkey") + "." + parts[1] + "." + parts[2], "token-invalid"},
	}
	names := map[string]bool{}
	accepted := 0
	// Nor does it help to show one beside what is good, or where nothing has to be shown.
	hotel := s.orgKey("hotel-9")
	s.super("POST", "/locks/42/SetOrganization", `{"orgId":"hotel-9"}`)
	s.withKey(hotel, "")
	require.NoError(t, s.kernel.connect(42, opens))
	for _, c := range hostile {
		require.False(t, names[c.name], "%s is there twice", c.name)
		names[c.name] = true
		for _, a := range []*answer{
			s.call("GET", "/locks/42/details", "", as(hotel), bearer(c.token)),
			s.call("POST", "/temp-keys/"+keyUUID+"/open", "", bearer(c.token), header("Accept", "application/json")),
		} {
			if a.status != http.StatusUnauthorized {
				accepted++
				t.Errorf("%s, beside what is good: %d %s", c.name, a.status, a.body)
			}
		}
		a := s.call("GET", "/locks/42/details", "", bearer(c.token))
		if a.status != http.StatusUnauthorized {
			accepted++
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
			continue
		}
		if reason := a.json()["reason"]; c.reason != "" && reason != c.reason {
			t.Errorf("%s: %s, not %s", c.name, reason, c.reason)
		}
	}
	require.GreaterOrEqual(t, len(names), 40)
	for _, path := range []string{"?access_token=" + rs(good()), "?token=" + rs(good())} { // addresses are kept in logs
		require.Equal(t, http.StatusUnauthorized, s.call("GET", "/locks/42/details"+path, "").status)
	}
	require.Equal(t, http.StatusUnauthorized, s.call("GET", "/locks/42/details", "", header("Cookie", "token="+rs(good()))).status)
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", as(hotel), bearer(rs(good()))).status)
	require.Zero(t, s.kernel.opens)
	require.Zero(t, accepted)
	require.Zero(t, lured.Load(), "nobody goes where a token says")
	t.Logf("%d hostile tokens, %d accepted", len(names), accepted)
}

// Whatever is shown as a token, only what the issuer signed names a user.
func FuzzTokens(f *testing.F) {
	s := newServer(f)
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","ownerId":"ann"}`)
	good := token(f, "ann")
	for _, seed := range []string{
		good, good[:len(good)-1], "", ".", "..", "a.b.c", segment(`{"alg":"none"}`) + "." + segment(`{"sub":"ann","exp":99999999999}`) + ".",
		segment(`{"alg":"HS256","crit":["x"]}`) + "." + segment(`[]`) + "." + segment("x"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest(http.MethodGet, "/locks/42/details", nil)
		r.Header["Authorization"] = []string{"Bearer " + text}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if text != good {
			require.Equal(t, http.StatusUnauthorized, w.Code, "%q", text)
		}
	})
}
