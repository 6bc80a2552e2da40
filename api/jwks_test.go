package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
)

// provider publishes an issuer's keys, as answer says.
func provider(t *testing.T, answer http.HandlerFunc) *server {
	t.Helper()
	p := httptest.NewServer(answer)
	t.Cleanup(p.Close)
	s := newServer(t, func(o *api.Options) { o.Tokens = api.TokenOptions{JWKS: p.URL} })
	s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","ownerId":"ann"}`)
	return s
}

// renamed is the issuer's set with another kid for its RSA key.
func (i *issuer) renamed(t *testing.T, kid string) []byte {
	t.Helper()
	require.True(t, json.Valid(i.set))
	return []byte(strings.Replace(string(i.set), `"kid":"rsa"`, `"kid":"`+kid+`"`, 1))
}

func (i *issuer) token(t *testing.T, kid string) option {
	t.Helper()
	return bearer(sign(t, jwt.SigningMethodRS256, i.rsa, good(), map[string]any{"kid": kid}))
}

func (s *server) details(who option) int {
	s.t.Helper()
	return s.call("GET", "/locks/42/details", "", who).status
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

func TestANewKeyIsFound(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	second := i.renamed(t, "second")
	var asked atomic.Int32
	s := provider(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			_, _ = w.Write(i.set)
			return
		}
		_, _ = w.Write(second)
	})
	require.Equal(t, http.StatusOK, s.details(i.token(t, "rsa")))
	require.Equal(t, http.StatusOK, s.details(i.token(t, "second")))
	require.Equal(t, http.StatusUnauthorized, s.details(i.token(t, "rsa")), "the issuer has withdrawn it")
	require.EqualValues(t, 2, asked.Load())
}

// An issuer that fails in other ways than by an error must not cost the keys that are known.
func TestBrokenSetsAreNoRevocations(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]string{
		"no keys": `{"keys":[]}`, "an empty object": `{}`, "a page": "<html>Back soon</html>", "nothing": "", "cut off": `{"keys":[{"kty":"RSA"`,
		"huge": `{"keys":[],"x":"` + strings.Repeat("x", 2<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			var asked atomic.Int32
			s := provider(t, func(w http.ResponseWriter, _ *http.Request) {
				if asked.Add(1) == 1 {
					_, _ = w.Write(i.set)
					return
				}
				_, _ = w.Write([]byte(broken))
			})
			require.Equal(t, http.StatusUnauthorized, s.details(i.token(t, "other")))
			require.EqualValues(t, 2, asked.Load())
			require.Equal(t, http.StatusOK, s.details(i.token(t, "rsa")))
		})
	}
}

// Who shows an unknown key and leaves at once must not keep others from the issuer's new keys.
func TestALookForKeysOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	second := i.renamed(t, "second")
	var asked atomic.Int32
	began, gate := make(chan struct{}), make(chan struct{})
	s := provider(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			_, _ = w.Write(i.set)
			return
		}
		close(began)
		<-gate
		_, _ = w.Write(second)
	})
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/locks/42/details", nil)
		if err == nil {
			i.token(t, "nobody's")(r)
			var answer *http.Response
			if answer, err = s.client.Do(r); err == nil {
				_ = answer.Body.Close()
			}
		}
		left <- err
	}()
	<-began
	cancel()
	require.ErrorIs(t, <-left, context.Canceled)
	close(gate)
	require.Eventually(t, func() bool { return s.details(i.token(t, "second")) == http.StatusOK }, 5*time.Second, 5*time.Millisecond)
	require.EqualValues(t, 2, asked.Load())
}
