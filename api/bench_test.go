package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// discard is a writer that costs nothing, so that only our own side is measured.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func benchmark(b *testing.B, method, path, body string) {
	s := newServer(b)
	s.withLock(superKey)
	for range 10 {
		a := s.super("POST", "/locks/42/create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z","maxUses":5}`)
		require.Equal(b, http.StatusOK, a.status)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("X-API-Key", superKey)
		r.Header.Set("Content-Type", "application/json")
		s.handler.ServeHTTP(discard{http.Header{}}, r)
	}
}

func BenchmarkListTempKeys(b *testing.B) { benchmark(b, "GET", "/locks/42/temp-keys", "") }
func BenchmarkOpenLock(b *testing.B)     { benchmark(b, "POST", "/locks/42/OpenLock", `{"reason":"x"}`) }
