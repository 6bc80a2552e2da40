package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/audit"
	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/journal"        //nolint:depguard // the tests look at what is stored
	"github.com/latchkey/latchkey/journal/memory" //nolint:depguard // the tests join the real store of keys to a journal
	"github.com/latchkey/latchkey/lock"
	names "github.com/latchkey/latchkey/named"
	"github.com/latchkey/latchkey/tenant"
)

const superKey = "the operator's super key of 32+ letters"

var (
	start       = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	tokenSecret = []byte("a secret of thirty-two characters")
)

func TestMain(m *testing.M) {
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.PlainBodyDecoder)
	goleak.VerifyTestMain(m)
}

// contract is a document that answers are held against.
type contract struct {
	name   string
	doc    *openapi3.T
	router routers.Router
}

var contracts = sync.OnceValues(func() ([]contract, error) {
	var all []contract
	for _, file := range []string{"openapi.yaml", "testdata/reference-openapi.yaml"} {
		doc, err := openapi3.NewLoader().LoadFromFile(file)
		if err != nil {
			return nil, err
		}
		if err := doc.Validate(context.Background()); err != nil {
			return nil, err
		}
		router, err := legacy.NewRouter(doc)
		if err != nil {
			return nil, err
		}
		all = append(all, contract{file, doc, router})
	}
	return all, nil
})

// server is the API over a real kernel and a real store of keys, behind a real socket.
type server struct {
	t       testing.TB
	url     string
	handler http.Handler
	client  *http.Client
	kernel  *kernel
	tenants *tenant.Keys
	journal journal.Journal // of all that is no lock's
	metrics *prometheus.Registry
	logs    *syncBuffer
	clock   *clock
	made    map[string]string // IDs of an estate, by the names of path parameters
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newServer(t testing.TB, change ...func(*api.Options)) *server {
	t.Helper()
	s := &server{t: t, clock: &clock{now: start}, metrics: prometheus.NewRegistry(), logs: new(syncBuffer)}
	s.kernel = newKernel(s.clock.Now)
	j := memory.New()
	t.Cleanup(func() { _ = j.Close() })
	s.journal = j
	var err error
	s.tenants, err = tenant.New(tenant.Options{Journal: j, Now: s.clock.Now})
	require.NoError(t, err)
	pins, err := collective.NewPINs([]byte("0123456789abcdef0123456789abcdef"))
	require.NoError(t, err)
	doors, err := collective.New(collective.Options{Journal: j, Locks: s.kernel, PINs: pins, Now: s.clock.Now})
	require.NoError(t, err)
	users, err := directory.New(directory.Options{Journal: j, Now: s.clock.Now})
	require.NoError(t, err)
	hash := sha256.Sum256([]byte(superKey))
	options := api.Options{
		Locks: s.kernel, APIKeys: s.tenants, History: audit.New(j), Collective: doors, Users: users, Names: names.NewNames(j, s.clock.Now), SuperKeyHash: hash[:], Tokens: api.TokenOptions{HS256Secret: tokenSecret},
		Logger: slog.New(slog.NewJSONHandler(s.logs, nil)), Registerer: s.metrics, Now: s.clock.Now,
	}
	for _, f := range change {
		f(&options)
	}
	a, err := api.New(options)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	web := httptest.NewServer(a)
	t.Cleanup(web.Close)
	s.handler, s.url, s.client = a, web.URL, web.Client()
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

// answer is what a call gave.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

func (a *answer) json() map[string]any {
	a.t.Helper()
	var v map[string]any
	require.NoError(a.t, json.Unmarshal([]byte(a.body), &v), a.body)
	return v
}

// requireError checks that the answer is an error in our one shape.
func (a *answer) requireError(status int, reason string) map[string]any {
	a.t.Helper()
	require.Equal(a.t, status, a.status, a.body)
	v := a.json()
	require.Equal(a.t, reason, v["reason"], a.body)
	require.Equal(a.t, false, v["success"])
	require.EqualValues(a.t, status, v["code"])
	require.Equal(a.t, http.StatusText(status), v["error"])
	require.NotEmpty(a.t, v["message"])
	require.Equal(a.t, a.header.Get("X-Request-Id"), v["requestId"])
	return v
}

type option func(*http.Request)

func header(name, value string) option {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func as(key string) option { return header("X-API-Key", key) }

func bearer(token string) option { return header("Authorization", "Bearer "+token) }

// call sends a request, and holds the answer against both documents.
func (s *server) call(method, path, body string, options ...option) *answer {
	s.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, reader)
	require.NoError(s.t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, o := range options {
		o(r)
	}
	response, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	a := &answer{s.t, response.StatusCode, response.Header, string(data)}
	s.validate(r, a)
	return a
}

// super calls with the super key.
func (s *server) super(method, path, body string, options ...option) *answer {
	s.t.Helper()
	return s.call(method, path, body, append(options, as(superKey))...)
}

func (s *server) validate(r *http.Request, a *answer) {
	s.t.Helper()
	all, err := contracts()
	require.NoError(s.t, err)
	for i, c := range all {
		if i > 0 && a.status >= http.StatusBadRequest && r.Header.Get("Accept") != "" {
			continue // an error in the form that the caller asked for is ours; the reference has one form for each
		}
		route, params, err := c.router.FindRoute(&http.Request{Method: r.Method, URL: r.URL, Header: r.Header})
		if err != nil {
			continue // it is not one of this document's operations
		}
		err = openapi3filter.ValidateResponse(s.t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
			Status:                 a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)),
		})
		require.NoError(s.t, err, "%s %s answered %d, not as in %s: %s", r.Method, r.URL.Path, a.status, c.name, a.body)
		if i == 0 {
			a.requireHeaders(route.Operation)
		}
	}
}

// orgKey makes an API key for an organisation.
func (s *server) orgKey(org string) string {
	s.t.Helper()
	_, secret, err := s.tenants.Create(s.t.Context(), lock.Caller{Super: true}, lock.OrgID(org), tenant.NewKey{})
	require.NoError(s.t, err)
	return secret
}

// token makes a token of the development kind.
func token(t testing.TB, user string) string {
	t.Helper()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": user, "exp": start.Add(time.Hour).Unix()}).SignedString(tokenSecret)
	require.NoError(t, err)
	return signed
}

const (
	deviceUUID = "6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b"
	keyUUID    = "3d0e8c3a-5a0f-4a53-8f0b-5f3c2f1f7a10"
)

// withLock creates lock 42 with a device that opens.
func (s *server) withLock(key string) {
	s.t.Helper()
	a := s.call("POST", "/locks/42/CreateLock", `{"index":1,"uuid":"`+deviceUUID+`","serialNumber":"SN-1","vendorName":"Acme"}`, as(key))
	require.Equal(s.t, http.StatusCreated, a.status, a.body)
	require.NoError(s.t, s.kernel.connect(42, opens))
}

// withKey creates a public key of lock 42, valid from now for a day.
func (s *server) withKey(key, more string) {
	s.t.Helper()
	a := s.call("POST", "/locks/42/create-temp-key", `{"tempKeyUuid":"`+keyUUID+`","accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z"`+more+`}`, as(key))
	require.Equal(s.t, http.StatusOK, a.status, a.body)
}

func mustRead(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return data
}

var errBoom = errors.New("boom")
