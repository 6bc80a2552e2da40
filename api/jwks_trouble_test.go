package api_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
)

// A server starts without its identity provider, and takes tokens as soon as that is there: also those that name no key,
// which nothing else would make it look for.
func TestAServerStartsWithoutItsProvider(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	for name, token := range map[string]option{
		"with a kid":    i.token(t, "rsa"),
		"without a kid": bearer(sign(t, jwt.SigningMethodRS256, i.rsa, good(), nil)),
	} {
		var asked atomic.Int32
		s := provider(t, func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) == 1 {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			_, _ = w.Write(i.set)
		})
		require.EqualValues(t, 1, asked.Load(), name)
		require.Equal(t, http.StatusOK, s.details(as(superKey)), name)
		require.Equal(t, http.StatusOK, s.details(token), name)
		require.EqualValues(t, 2, asked.Load(), name)
	}
}

// A provider that takes a question and never answers holds up nobody but those who show unknown keys, and them not for long.
func TestAProviderThatHangs(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	var asked atomic.Int32
	hangs, over := make(chan struct{}), make(chan struct{})
	s := provider(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			_, _ = w.Write(i.set)
			return
		}
		close(hangs)
		select {
		case <-r.Context().Done():
		case <-over:
		}
	})
	defer close(over)
	var all sync.WaitGroup
	var longest atomic.Int64
	unknown := i.token(t, "nobody's")
	show := func() {
		began := time.Now()
		if status := s.details(unknown); status != http.StatusUnauthorized {
			t.Errorf("an unknown key: %d", status)
		}
		for took := int64(time.Since(began)); ; {
			before := longest.Load()
			if took <= before || longest.CompareAndSwap(before, took) {
				return
			}
		}
	}
	all.Go(show)
	<-hangs
	for range 50 {
		all.Go(show)
	}
	known := i.token(t, "rsa")
	served := 0
	waited := make(chan struct{})
	go func() { all.Wait(); close(waited) }()
	for done := false; !done; served++ {
		select {
		case <-waited:
			done = true
		default:
		}
		require.Equal(t, http.StatusOK, s.details(known))
	}
	require.Greater(t, served, 20, "known keys do not wait for the provider")
	const jwksTimeout = 5 * time.Second
	require.Less(t, time.Duration(longest.Load()), 2*jwksTimeout)
	require.EqualValues(t, 2, asked.Load())
}

// Whose keys are believed is said by the operator, and not by whoever answers at that address.
func TestKeysComeFromNowhereElse(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	var lured atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		lured.Add(1)
		_, _ = w.Write(i.set)
	}))
	t.Cleanup(elsewhere.Close)
	for to, status := range map[string]int{elsewhere.URL: http.StatusUnauthorized, "/moved": http.StatusOK, "/": http.StatusUnauthorized} {
		p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				_, _ = w.Write(i.set)
				return
			}
			http.Redirect(w, r, to, http.StatusFound)
		}))
		t.Cleanup(p.Close)
		s := newServer(t, func(o *api.Options) { o.Tokens = api.TokenOptions{JWKS: p.URL} })
		s.super("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","ownerId":"ann"}`)
		require.Equal(t, status, s.details(i.token(t, "rsa")), to)
	}
	require.Zero(t, lured.Load())
}
