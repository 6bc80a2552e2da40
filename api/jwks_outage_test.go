package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
)

// fakeProvider is an identity provider inside a bubble of time, where there are no sockets.
type fakeProvider struct {
	mu    sync.Mutex
	set   string
	down  bool
	asked int
}

func (p *fakeProvider) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked++; p.down {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader([]byte(p.set))), Request: r}, nil
}

func (p *fakeProvider) change(f func()) (asked int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	return p.asked
}

func TestTheProviderIsDownForAnHour(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	setOf := func(kid string) string {
		return fmt.Sprintf(`{"keys":[{"kty":"RSA","kid":%q,"n":%q,"e":"AQAB"}]}`, kid, base64.RawURLEncoding.EncodeToString(key.N.Bytes()))
	}
	synctest.Test(t, func(t *testing.T) {
		p := &fakeProvider{set: setOf("first")}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		keys, err := loadJWKS(ctx, "https://id.example/jwks", p, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired())
		tokens := &tokens{parser: parser, keys: keys}
		show := func(kid string) error {
			token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Minute).Unix()})
			token.Header["kid"] = kid
			text, err := token.SignedString(key)
			require.NoError(t, err)
			_, err = tokens.check(t.Context(), text)
			return err
		}
		require.NoError(t, show("first"))
		// madeUp names a key that nobody has; that its signature is none is found out later than that.
		madeUp := func(kid string) error {
			header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"` + kid + `"}`))
			_, err := tokens.check(t.Context(), header+".e30.c2ln")
			return err
		}

		asked := p.change(func() { p.down = true })
		for minute := range 60 {
			for i := range 20 { // whoever makes tokens up asks for keys that nobody has
				require.Error(t, madeUp(fmt.Sprint("made-up-", minute, "-", i)))
			}
			require.NoError(t, show("first"), "after %d minutes", minute)
			<-time.After(time.Minute)
		}
		const perMinute, perQuarter = 60, 4
		looked := p.change(func() {}) - asked
		require.LessOrEqual(t, looked, perMinute+perQuarter+1, "1,200 unknown keys ask for new ones once a minute")
		require.GreaterOrEqual(t, looked, perMinute-1)

		p.change(func() { p.down, p.set = false, setOf("second") })
		<-time.After(jwksLookForKeys)
		require.NoError(t, show("second"), "the first token of a new key has it fetched")
		require.Error(t, show("first"), "the provider has withdrawn it")

		p.change(func() { p.set = setOf("third") })
		<-time.After(jwksRefresh + time.Second)
		require.Error(t, show("second"), "sets are fetched again without anybody asking")
	})
}

func TestSecretsOfTheAddressAreNotTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var log strings.Builder
		logger := slog.New(slog.NewTextHandler(&log, nil))
		_, err := loadJWKS(ctx, "https://ann:hush-1@id.example/jwks?key=hush-2", &fakeProvider{down: true}, logger)
		require.NoError(t, err, "the keys may come later")
		require.Contains(t, log.String(), "https://id.example/jwks")
		require.Contains(t, log.String(), "connection refused", "the cause")
		_, err = loadJWKS(ctx, "https://ann:hush-3@id.example/%zz", &fakeProvider{}, logger)
		require.ErrorContains(t, err, "%zz")
		require.NotContains(t, log.String()+err.Error(), "hush")
	})
}
