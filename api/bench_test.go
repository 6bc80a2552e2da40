package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/lock"
)

// prompt answers at once, so that only the API's own cost is measured.
type prompt struct {
	opened *lock.OpenResult
	listed *lock.TempKeyList
}

func (p *prompt) FindTempKey(context.Context, lock.TempKeyID) (lock.ID, error) { return 42, nil }

func (p *prompt) TempKeysBy(context.Context, string, lock.TempKeyID, int) ([]api.KeyOfLock, error) {
	return nil, nil
}

func (p *prompt) Events(context.Context, lock.ID, uint64, int) ([]api.Event, uint64, error) {
	return nil, 0, nil
}

func (p *prompt) Do(_ context.Context, _ lock.ID, c lock.Command) (lock.Reply, error) {
	if _, ok := c.(*lock.ListTempKeys); ok {
		return p.listed, nil
	}
	return p.opened, nil
}

func newPrompt() *prompt {
	p := &prompt{
		opened: &lock.OpenResult{Outcome: lock.Opened, RequestID: "request", CommandID: "command", Version: 12, Deadline: start},
		listed: &lock.TempKeyList{ID: 42, UUID: deviceUUID},
	}
	for range 20 {
		p.listed.TempKeys = append(p.listed.TempKeys, lock.TempKeyView{Status: lock.StatusValid, TempKey: lock.TempKey{
			UUID: keyUUID, AccessMode: lock.Public, ValidFrom: start, ValidUntil: start.Add(24 * time.Hour), CreatedAt: start, CreatedBy: "super-key",
		}})
	}
	return p
}

// discard is a writer that costs nothing.
type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

func (d *discard) SetReadDeadline(time.Time) error { return nil }

func benchmark(b *testing.B, method, path, body string, want int) {
	s := newServer(b, func(o *api.Options) { o.Locks = newPrompt() })
	template, err := http.NewRequestWithContext(b.Context(), method, "http://localhost"+path, strings.NewReader(body))
	require.NoError(b, err)
	template.Header.Set("X-API-Key", superKey)
	template.Header.Set("Content-Type", "application/json")
	w := &discard{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		r := *template
		r.Body = io.NopCloser(strings.NewReader(body))
		clear(w.h)
		s.handler.ServeHTTP(w, &r)
	}
	require.Equal(b, want, w.status)
}

// Guests come from one address with a thousand keys, as in the measurement that latchkey bench makes.
func BenchmarkGuestOpen(b *testing.B) {
	const plenty = 1 << 20
	many := api.Rate{PerSecond: plenty, Burst: plenty}
	s := newServer(b, func(o *api.Options) {
		o.Locks, o.Rates, o.Now = newPrompt(), api.Rates{Address: many, Target: many}, nil
	})
	requests := make([]*http.Request, 1000)
	for i := range requests {
		path := fmt.Sprintf("/temp-keys/%s%04d/open", keyUUID[:32], i)
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://localhost"+path, http.NoBody)
		require.NoError(b, err)
		r.RemoteAddr = "127.0.0.1:40000"
		r.Header = http.Header{"User-Agent": {"Go-http-client/1.1"}, "Content-Length": {"0"}}
		requests[i] = r
	}
	w := new(discard)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r := *requests[i%len(requests)]
		w.h = make(http.Header)
		s.handler.ServeHTTP(w, &r)
	}
	require.Equal(b, http.StatusSeeOther, w.status)
	require.Empty(b, w.h["Ratelimit"])
}

func BenchmarkOpenLock(b *testing.B) {
	benchmark(b, "POST", "/locks/42/OpenLock", `{"reason":"x"}`, http.StatusOK)
}

func BenchmarkListTempKeys(b *testing.B) {
	benchmark(b, "GET", "/locks/42/temp-keys", "", http.StatusOK)
}
