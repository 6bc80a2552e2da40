package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answer is what a call gave.
type answer struct {
	status   int
	header   http.Header
	body     string
	attempts int // how often the call was made
}

// said is what the tests look at in an answer in JSON.
type said struct {
	Reason      string
	Version     uint64
	Outcome     string
	CommandID   string
	Event       *struct{ Type string }
	TempKeys    []listedKey
	Secret      string
	Key, KeyID  string
	TotalEvents int
	TotalPages  int
	Events      []publicEvent
}

type listedKey struct {
	UUID      string
	UsedCount int64
	MaxUses   *int64
	Status    string
}

type publicEvent struct {
	Version uint64
	Type    string
	Event   map[string]any
}

func (a *answer) said() said {
	var s said
	_ = json.Unmarshal([]byte(a.body), &s) // a page says nothing in JSON
	return s
}

// call makes one call, as the operator or as a guest, unless the headers, which come in pairs, say otherwise. An error is a call without an answer: nobody knows what became of it.
func (s *server) call(ctx context.Context, method, path string, body any, header ...string) (*answer, error) {
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, reader)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(path, "temp-keys/") || method == http.MethodDelete { // a guest has a link, and nothing else
		request.Header.Set("X-API-Key", s.superKey)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			request.Header.Del(header[i])
		}
	}
	response, err := s.web.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return &answer{response.StatusCode, response.Header, string(data), 1}, nil
}

// patiently makes the same call until it gets an answer that is none of "try again": the server may be down, or busy.
func (s *server) patiently(ctx context.Context, method, path string, body any, header ...string) (*answer, error) {
	for attempts := 1; ; attempts++ {
		a, err := s.call(ctx, method, path, body, header...)
		if err == nil && a.status != http.StatusServiceUnavailable && a.status != http.StatusGatewayTimeout {
			a.attempts = attempts
			return a, nil
		}
		if !pause(ctx, 20*time.Millisecond+rand.N(30*time.Millisecond)) {
			return nil, fmt.Errorf("%s %s never got an answer: %w", method, path, ctx.Err())
		}
	}
}

// must makes a call that has to be answered with this status.
func (s *server) must(t *testing.T, status int, method, path string, body any, header ...string) *answer {
	t.Helper()
	a, err := s.call(t.Context(), method, path, body, header...)
	require.NoError(t, err)
	require.Equal(t, status, a.status, "%s %s: %s", method, path, a.body)
	return a
}

// pause waits, and reports false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
