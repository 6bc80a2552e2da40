package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNothingCommandsTheTerminal: names of tenants and devices are for the operator's eyes, and not for the terminal.
func TestNothingCommandsTheTerminal(t *testing.T) {
	t.Parallel()
	const bad = "1.0\x1b[31m\x1b]0;pwn\x07\u009b2J\u202e\u2066\x7f\r\nroot#\t\U000e0041"
	text, err := json.Marshal(bad)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lines := strings.HasSuffix(r.URL.Path, "/export") || strings.HasSuffix(r.URL.Path, "/events")
		w.Header().Set("Content-Type", map[bool]string{true: "application/x-ndjson", false: "application/json"}[lines])
		switch {
		case lines:
			_, _ = w.Write([]byte(`{"cursor":"c1","payload":` + string(text) + "}\n" + `{"cursor":"c2","complete":true}` + "\n"))
		case strings.HasSuffix(r.URL.Path, "/details"):
			_, _ = w.Write([]byte(`{"uuid":"u","vendorName":` + string(text) + `,"device":{"online":true,"firmware":` + string(text) + `}}`))
		case strings.HasSuffix(r.URL.Path, "/OpenLock"):
			_, _ = w.Write([]byte(`{"outcome":"refused","message":` + string(text) + `}`))
		case strings.HasSuffix(r.URL.Path, "/api-keys"):
			_, _ = w.Write([]byte(`{"apiKeys":[{"keyId":"k","name":` + string(text) + `}]}`))
		case r.URL.Path == "/organizations":
			_, _ = w.Write([]byte(`{"organizations":[{"orgId":` + string(text) + `,"name":` + string(text) + `}]}`))
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"title":"Conflict","status":409,"reason":"x","detail":` + string(text) + `}`))
		}
	}))
	t.Cleanup(server.Close)
	o := &operator{t, server.URL, writeKey(t, testSuperKey)}
	for _, args := range [][]string{
		{"lock", "show", "4"}, {"lock", "open", "4"}, {"lock", "events", "4"}, {"org", "list"}, {"org", "events", "hotel-9"}, {"key", "list", "hotel-9"},
		{"--json", "lock", "show", "4"}, {"--json", "org", "list"},
	} {
		out := o.must(args...)
		require.Contains(t, out, "pwn", args)
		requireInert(t, out)
		require.NotContains(t, out, "\nroot#", "no line is another's")
		if args[0] == "--json" || args[1] == "events" {
			for line := range strings.Lines(out) {
				require.True(t, json.Valid([]byte(line)), line)
				var said any
				require.NoError(t, json.Unmarshal([]byte(line), &said))
				again, err := json.Marshal(said)
				require.NoError(t, err)
				require.Contains(t, string(again), strings.Trim(string(text), `"`), "it says the same")
			}
		}
	}
	_, err = o.run("lock", "hand-over", "4", "hotel-9")
	require.Error(t, err)
	var stderr bytes.Buffer
	complain(&stderr, err)
	requireInert(t, stderr.String())
}

func requireInert(t *testing.T, out string) {
	t.Helper()
	for _, r := range out {
		require.True(t, r == '\n' || strconv.IsPrint(r), "%q in %q", r, out)
	}
}
