package api_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/audit"
	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/lock"
	names "github.com/latchkey/latchkey/named"
	"github.com/latchkey/latchkey/tenant"
)

func TestErrorsAndTheirStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		reason string
		get    string // when a question is answered otherwise
	}{
		{&lock.Error{Kind: lock.Invalid, Reason: "x"}, http.StatusBadRequest, "x", ""},
		{&lock.Error{Kind: lock.Unauthentic, Reason: "x"}, http.StatusUnauthorized, "x", ""},
		{&lock.Error{Kind: lock.Forbidden, Reason: "x"}, http.StatusForbidden, "x", ""},
		{fmt.Errorf("grain: %w", &lock.Error{Kind: lock.NotFound, Reason: "x"}), http.StatusNotFound, "x", ""},
		{&lock.Error{Kind: lock.Conflict, Reason: "x"}, http.StatusConflict, "x", ""},
		{&lock.Error{Kind: lock.Offline, Reason: "x"}, http.StatusBadGateway, "x", ""},
		{&lock.Error{Kind: lock.Busy, Reason: "x"}, http.StatusServiceUnavailable, "x", ""},
		{fmt.Errorf("mailbox: %w", api.ErrBusy), http.StatusServiceUnavailable, "busy", ""},
		{fmt.Errorf("journal: %w", api.ErrUnavailable), http.StatusServiceUnavailable, "unavailable", ""},
		{fmt.Errorf("cluster: %w", api.ErrTimeout), http.StatusGatewayTimeout, "outcome-unknown", "timeout"},
		{fmt.Errorf("cluster: %w", context.DeadlineExceeded), http.StatusGatewayTimeout, "outcome-unknown", "timeout"},
		{errBoom, http.StatusInternalServerError, "internal", ""},
		{&lock.Error{Kind: 99, Reason: "x"}, http.StatusInternalServerError, "internal", ""},
	} {
		s := newServer(t)
		if rejection := (*lock.Error)(nil); errors.As(c.err, &rejection) {
			rejection.Message = "why"
		}
		s.kernel.trouble = func() error { return c.err }
		a := s.super("POST", "/locks/42/OpenLock", "")
		a.requireError(c.status, c.reason)
		require.Equal(t, c.status == http.StatusServiceUnavailable, a.header.Get("Retry-After") != "", c.err)
		if c.get == "" {
			c.get = c.reason
		}
		require.Equal(t, c.get, s.super("GET", "/locks/42/temp-keys", "").json()["reason"])
		require.Equal(t, c.status == http.StatusInternalServerError, strings.Contains(s.logs.String(), "a request failed"))
		require.NotContains(t, a.body, "boom", "what went wrong inside stays inside")
	}
}

func TestAPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.kernel.trouble = func() error { panic("a bug") }
	a := s.super("GET", "/locks/42/details", "", header("X-Request-Id", "trace-7"))
	a.requireError(http.StatusInternalServerError, "internal")
	require.Equal(t, "trace-7", a.header.Get("X-Request-Id"))
	for _, part := range []string{"a bug", "trace-7", "/locks/{id}/details", "goroutine"} {
		require.Contains(t, s.logs.String(), part)
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	require.Equal(t, "trace-7", s.call("GET", "/openapi.json", "", header("X-Request-Id", "trace-7")).header.Get("X-Request-Id"))
	for _, bad := range []string{"", "a b", strings.Repeat("x", 129), "\xff"} {
		id := s.call("GET", "/openapi.json", "", header("X-Request-Id", bad)).header.Get("X-Request-Id")
		require.NotEqual(t, bad, id)
		require.Len(t, id, 26)
	}
}

func TestNoAnswerIsStoredOrSniffed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	for _, a := range []*answer{
		s.super("GET", "/locks/42/details", ""), s.super("GET", "/locks/42/temp-keys", ""), s.call("GET", "/nowhere", ""),
		s.call("GET", keyPath, ""), s.call("POST", keyPath+"/open", ""), s.call("HEAD", keyPath, ""), s.call("HEAD", "/locks/42/OpenLock", ""),
	} {
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		isPage := strings.HasPrefix(a.header.Get("Content-Type"), "text/html")
		require.Equal(t, isPage, a.header.Get("Content-Security-Policy") != "")
		require.Equal(t, isPage, a.header.Get("Referrer-Policy") == "same-origin")
	}
}

// stuck never answers before its context ends.
type stuck struct{ *kernel }

func (stuck) Do(ctx context.Context, _ lock.ID, _ lock.Command) (lock.Reply, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *api.Options) {
		o.Locks = stuck{o.Locks.(*kernel)}
		o.OpenLifetime, o.RequestTimeout = time.Millisecond, 1001*time.Millisecond
	})
	s.super("POST", "/locks/42/OpenLock", "").requireError(http.StatusGatewayTimeout, "outcome-unknown")
}

// odd answers an open with a PIN as no lock does.
type odd struct{ *kernel }

func (odd) Do(context.Context, lock.ID, lock.Command) (lock.Reply, error) { return new(lock.Done), nil }

// A panel that looks at the status must not take it for an open.
func TestAnUnknownReplyToAPINIsAnError(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *api.Options) { o.Locks = odd{o.Locks.(*kernel)} })
	s.pin("42", "123456").requireError(http.StatusInternalServerError, "internal")
	require.Contains(t, s.logs.String(), "*lock.Done")
}

func TestADrippingBodyIsCutOff(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /locks/42/OpenLock HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", superKey)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	data, err := io.ReadAll(conn)
	require.NoError(t, err, "the connection is closed")
	require.Contains(t, string(data), "408 Request Timeout")
	require.Contains(t, string(data), "body-too-slow")
}

func TestMetricsHaveNoLabelThatGrows(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	for _, path := range []string{"/locks/1/details", "/locks/2/details", "/locks/x/details", "/nowhere/1", "/nowhere/2"} {
		s.super("GET", path, "")
	}
	s.super("BREW", "/locks/42/details", "")
	s.super("GRIND", "/locks/42/details", "")
	families, err := s.metrics.Gather()
	require.NoError(t, err)
	series := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			series[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	require.Equal(t, map[string]float64{
		"latchkey_api_requests_total GET /locks/{id}/details 4xx":     3,
		"latchkey_api_requests_total GET unmatched 4xx":               2,
		"latchkey_api_requests_total POST /locks/{id}/CreateLock 2xx": 1,
		"latchkey_api_requests_total other unmatched 4xx":             2,
		"latchkey_api_request_seconds GET /locks/{id}/details":        3,
		"latchkey_api_request_seconds GET unmatched":                  2,
		"latchkey_api_request_seconds POST /locks/{id}/CreateLock":    1,
		"latchkey_api_request_seconds other unmatched":                2,
		"latchkey_api_refusals_total lock-not-found":                  2,
		"latchkey_api_refusals_total lock-id-invalid":                 1,
		"latchkey_api_refusals_total route-not-found":                 2,
		"latchkey_api_refusals_total method-not-allowed":              2,
	}, series)
}

// wholeOptions are options that an API can be made of.
func wholeOptions() api.Options {
	hash := sha256.Sum256([]byte(superKey))
	return api.Options{
		Locks: newKernel(time.Now), APIKeys: new(tenant.Keys), History: audit.New(nil), Collective: new(collective.Keys), Users: new(directory.Directory), Names: new(names.Names),
		SuperKeyHash: hash[:], Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	}
}

// requireRefused checks that it is the damage for which options are refused: what is not damaged is good.
func requireRefused(t *testing.T, name string, damage func(*api.Options)) {
	t.Helper()
	a, err := api.New(wholeOptions())
	require.NoError(t, err)
	a.Close()
	damaged := wholeOptions()
	damage(&damaged)
	_, err = api.New(damaged)
	require.Error(t, err, name)
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*api.Options){
		"no locks":            func(o *api.Options) { o.Locks = nil },
		"no keys":             func(o *api.Options) { o.APIKeys = nil },
		"no logger":           func(o *api.Options) { o.Logger = nil },
		"no super key":        func(o *api.Options) { o.SuperKeyHash = nil },
		"a key, not its hash": func(o *api.Options) { o.SuperKeyHash = []byte(superKey) },
		"lifetime":            func(o *api.Options) { o.OpenLifetime = 16 * time.Second },
		"timeout":             func(o *api.Options) { o.RequestTimeout = 5 * time.Second },
		"public URL":          func(o *api.Options) { o.PublicURL = "keys.example.com" },
		"short secret":        func(o *api.Options) { o.Tokens.HS256Secret = []byte("short") },
		"JWKS file":           func(o *api.Options) { o.Tokens.JWKS = "nowhere.json" },
	} {
		requireRefused(t, name, damage)
	}
}

func FuzzBodies(f *testing.F) {
	s := newServer(f)
	s.withLock(superKey)
	s.withKey(superKey, "")
	for i, seed := range []string{
		`{"index":1,"uuid":"` + deviceUUID + `","keys":[{"uuid":"a","indexNumber":1}]}`, `{"userId":"ann"}`, `{"orgId":"x"}`, `{"graceSeconds":60}`,
		`{"requestId":"r1","reason":"x"}`, `{"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00+02:00","maxUses":null}`,
		`{"tempKeyUuid":"` + keyUUID + `","maxUses":5}`, `{"tempKeyUuid":"` + keyUUID + `"}`, `requestId=r1`, `{"a":[[{}]],"a":1e999}`,
	} {
		f.Add(uint8(i), []byte(seed))
	}
	operations := []string{"CreateLock", "SetOwner", "SetOrganization", "RotateDeviceSecret", "OpenLock", "create-temp-key", "update-temp-key", "delete-temp-key"}
	f.Fuzz(func(t *testing.T, n uint8, body []byte) {
		path, contentType := keyPath+"/open", "application/json"
		if int(n) < 2*len(operations) {
			path = "/locks/42/" + operations[int(n)%len(operations)]
		} else if n%2 == 0 {
			contentType = "application/x-www-form-urlencoded"
		}
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(string(body)))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("X-API-Key", superKey)
		s.requireNoFault(t, r)
	})
}

func FuzzPathsAndHeaders(f *testing.F) {
	s := newServer(f)
	s.withLock(superKey)
	s.withKey(superKey, "")
	f.Add("GET", "/locks/42/events?page=1", "X-API-Key", superKey)
	f.Add("GET", keyPath+"/confirmation?request=r1&offline=null", "Accept", "text/html")
	f.Add("POST", keyPath+"/open", "Idempotency-Key", "r1")
	f.Add("GET", "/locks/42/details", "Authorization", "Bearer "+token(f, "ann"))
	f.Add("POST", "/organizations/a%2Fb/api-keys", "X-API-Key", superKey)
	f.Add("HEAD", "/openapi.json", "X-Request-Id", "t1")
	f.Fuzz(func(t *testing.T, method, target, name, value string) {
		r, err := http.NewRequest(method, "http://door.example"+target, nil)
		if err != nil || !strings.HasPrefix(target, "/") {
			return // no server would hand it on
		}
		r.Header.Add(name, value)
		r.RemoteAddr = "192.0.2.1:1234"
		s.requireNoFault(t, r)
	})
}

// requireNoFault serves a request in this process, and fails when the server is to blame for the answer.
func (s *server) requireNoFault(t *testing.T, r *http.Request) {
	t.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code >= http.StatusInternalServerError && w.Code != http.StatusBadGateway {
		t.Fatalf("%s %s: %d %s\n%s", r.Method, r.URL, w.Code, w.Body, s.logs)
	}
}
