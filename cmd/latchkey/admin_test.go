package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/internal/config"
)

const testSuperKey = "the operator's super key of 32+ letters"

// operator runs commands as the operator does, against one server.
type operator struct {
	t       *testing.T
	server  string
	keyFile string
}

func (o *operator) run(args ...string) (string, error) {
	o.t.Helper()
	var c commands
	parser, err := kong.New(&c, kong.Name("latchkey"), config.NameVariables())
	require.NoError(o.t, err)
	run, err := parser.Parse(append([]string{"admin", "--server", o.server, "--super-key-file", o.keyFile}, args...))
	require.NoError(o.t, err, args)
	run.BindTo(o.t.Context(), (*context.Context)(nil))
	var out bytes.Buffer
	err = run.Run(terminal{&out})
	return out.String(), err
}

func (o *operator) must(args ...string) string {
	o.t.Helper()
	out, err := o.run(args...)
	require.NoError(o.t, err, "%v: %s", args, out)
	return out
}

func writeKey(t *testing.T, key string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "super-key")
	require.NoError(t, os.WriteFile(path, []byte(key), 0o600))
	return path
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	server, err := app.Start(t.Context(), app.Options{
		Config: config.Server{
			HTTPAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", ClusterAddr: "127.0.0.1:0", DataDir: t.TempDir(), DrainTimeout: 15 * time.Second,
		},
		SuperKey: testSuperKey, Version: "test", Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	o := &operator{t, server.URL(), writeKey(t, testSuperKey+"\n")}
	details := func(key string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+"/locks/7/details", nil)
		require.NoError(t, err)
		r.Header.Set("X-API-Key", key)
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	secret := func(out string) string {
		t.Helper()
		key := regexp.MustCompile(`lk_\w{49}`).FindString(out)
		require.NotEmpty(t, key, out)
		return key
	}
	id := func(out string) string { return regexp.MustCompile(`ID (\w{16})`).FindStringSubmatch(out)[1] }

	require.Contains(t, o.must("org", "create", "hotel-9", "--name", "Hotel Nine"), "hotel-9 is registered")
	made := o.must("key", "create", "hotel-9", "--name", "PMS", "--scopes", "read,manage", "--expires", "48h")
	require.Contains(t, made, "good to read, manage, until ")
	require.Contains(t, o.must("lock", "create", "7", "--uuid", "6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b", "--org", "hotel-9"), "Lock 7 is there")
	require.Contains(t, o.must("lock", "show", "7"), "hotel-9")
	require.Contains(t, o.must("lock", "secret", "7", "--grace", "0s"), "shown only now")
	require.Equal(t, http.StatusOK, details(secret(made)))

	rotated := o.must("key", "rotate", "hotel-9", id(made), "--grace", "1h")
	require.Contains(t, rotated, "good for another 1h0m0s")
	require.Equal(t, http.StatusOK, details(secret(made)))
	require.Equal(t, http.StatusOK, details(secret(rotated)))
	require.Contains(t, o.must("key", "revoke", "hotel-9", id(made)), "is revoked")
	require.Equal(t, http.StatusUnauthorized, details(secret(made)))
	require.Equal(t, http.StatusOK, details(secret(rotated)))

	list := o.must("key", "list", "hotel-9")
	require.Regexp(t, id(made)+`  +lk_\w{6}  +PMS  +read,manage  +revoked`, list)
	require.Regexp(t, id(rotated)+`  +lk_\w{6}  +PMS  +read,manage  +active`, list)
	require.NotContains(t, list, secret(rotated))
	require.Regexp(t, `hotel-9 +Hotel Nine`, o.must("org", "list"))
	require.Contains(t, field(t, o.must("--json", "org", "list"), "organizations"), `"orgId":"hotel-9"`)

	_, err = o.run("lock", "open", "7")
	require.ErrorContains(t, err, "device-offline")
	require.Contains(t, o.must("lock", "hand-over", "7", "hostel-2"), "hostel-2's")
	require.Equal(t, http.StatusNotFound, details(secret(rotated)))

	events := strings.Split(strings.TrimSpace(o.must("org", "events", "hotel-9")), "\n")
	var types []string
	for _, line := range events {
		types = append(types, strings.Trim(field(t, line, "type"), `"`))
		require.JSONEq(t, `"super"`, field(t, line, "by"))
		require.JSONEq(t, `"127.0.0.1"`, field(t, line, "from"))
	}
	require.Equal(t, []string{
		"OrganizationRegistered", "ApiKeyCreated", "OrganizationSet", "DeviceSecretRotated", "ApiKeyCreated", "ApiKeyReplaced", "ApiKeyRevoked", "OrganizationSet",
	}, types)
	cursor := strings.Trim(field(t, events[5], "cursor"), `"`)
	require.Equal(t, strings.Join(events[6:], "\n")+"\n", o.must("org", "events", "hotel-9", "--cursor", cursor))
	require.Len(t, strings.Split(strings.TrimSpace(o.must("lock", "events", "7")), "\n"), 4)
	require.NotContains(t, o.must("org", "events", "hotel-9"), secret(made)[9:])

	_, err = o.run("org", "events", "nobody")
	require.ErrorContains(t, err, "organization-not-found")
	require.NotContains(t, err.Error(), "--cursor", "nothing was printed")
	_, err = o.run("key", "revoke", "hotel-9", "0000000000000000")
	require.ErrorContains(t, err, "api-key-not-found")
	_, err = (&operator{t, server.URL(), writeKey(t, "wrong")}).run("org", "list")
	require.ErrorContains(t, err, "api-key-invalid")
}

func field(t *testing.T, line, name string) string {
	t.Helper()
	var v map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(line), &v), line)
	return string(v[name])
}

func TestAdminDoesNotStart(t *testing.T) {
	t.Parallel()
	good := writeKey(t, testSuperKey)
	for _, c := range []struct{ server, keyFile, want string }{
		{"latchkey.example", good, "--server"},
		{"ftp://127.0.0.1", good, "--server"},
		{"http://latchkey.example", good, "plain HTTP"},
		{"http://10.0.0.1:8080", good, "plain HTTP"},
		{"http://127.0.0.1:1", writeKey(t, " \n"), "the super key is missing"},
		{"http://127.0.0.1:1", "nowhere", "--super-key-file"},
		{"http://127.0.0.1:1", good, "refused (is a server running there? --server or $LATCHKEY_SERVER names another)"},
	} {
		_, err := (&operator{t, c.server, c.keyFile}).run("org", "list")
		require.ErrorContains(t, err, c.want)
	}
}

// The super key goes to the server that was named and nowhere else, and what is cut off is not taken for whole.
func TestAdminTrustsNoAnswer(t *testing.T) {
	t.Parallel()
	elsewhere := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://evil.example/", http.StatusFound)
	}
	same := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"cursor":"c1","type":"X"}` + "\n"))
	}
	page := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>\n")) }
	for _, c := range []struct {
		answer http.HandlerFunc
		args   []string
		want   string
	}{
		{elsewhere, []string{"lock", "events", "7"}, "is it a Latchkey server?"},
		{elsewhere, []string{"lock", "show", "7"}, "is it a Latchkey server?"},
		{page, []string{"lock", "events", "7"}, "cannot be read"},
		{page, []string{"org", "list"}, "is it a Latchkey server?"},
		{same, []string{"lock", "events", "7"}, "Go on with --cursor c1"},
	} {
		s := httptest.NewServer(c.answer)
		t.Cleanup(s.Close)
		_, err := (&operator{t, s.URL, writeKey(t, testSuperKey)}).run(c.args...)
		require.ErrorContains(t, err, c.want)
	}
}

// What was printed is not asked for again when an answer is cut off, and nothing is left out.
func TestAdminGoesOnWhereAnExportWasCutOff(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		if r.URL.Query().Get("cursor") == "c1" {
			_, _ = w.Write([]byte(`{"cursor":"c2","type":"Y"}` + "\n" + `{"cursor":"c2","complete":true}` + "\n"))
			return
		}
		_, _ = w.Write([]byte(`{"cursor":"c1","type":"X"}` + "\n" + `{"cursor":"c2","ty`))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(s.Close)
	out := (&operator{t, s.URL, writeKey(t, testSuperKey)}).must("lock", "events", "7")
	require.Equal(t, `{"cursor":"c1","type":"X"}`+"\n"+`{"cursor":"c2","type":"Y"}`+"\n", out)
}

// A server of one's own has a certificate of one's own.
func TestAdminOverTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"organizations":[{"orgId":"hotel-9","name":"","createdAt":"2026-05-01T10:00:00Z"}]}`))
	}))
	t.Cleanup(s.Close)
	o := &operator{t, s.URL, writeKey(t, testSuperKey)}
	_, err := o.run("org", "list")
	require.ErrorContains(t, err, "certificate")
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	require.Contains(t, o.must("--ca-file", file, "org", "list"), "hotel-9")
	_, err = o.run("--ca-file", writeKey(t, "none"), "org", "list")
	require.ErrorContains(t, err, "--ca-file")
}
