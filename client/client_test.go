package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/client"
)

// script is a server's answers, one after the other.
type script struct {
	steps []func(*http.Request) (*http.Response, error)
	calls []*http.Request
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.calls = append(s.calls, r)
	return s.steps[min(len(s.calls), len(s.steps))-1](r)
}

func says(status int, body string, header ...string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, err := io.WriteString(w, body)
		return w.Result(), err
	}
}

func breaks(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func (s *script) client(t *testing.T) *client.ClientWithResponses {
	t.Helper()
	c, err := client.New(client.Options{Server: "http://keys.example/", APIKey: "lk_1", Token: "t", HTTP: &http.Client{Transport: s}})
	require.NoError(t, err)
	return c
}

const lockInfo = `{"id":"42","lockId":42,"uuid":"u","online":true}`

func TestACallCarriesCredentialsAndGivesTheAnswer(t *testing.T) {
	t.Parallel()
	s := &script{steps: []func(*http.Request) (*http.Response, error){says(200, lockInfo)}}
	answer, err := s.client(t).GetBasicInfoWithResponse(t.Context(), 42)
	require.NoError(t, err)
	require.Equal(t, "42", answer.JSON200.Id)
	require.Equal(t, "http://keys.example/locks/42/basic-info", s.calls[0].URL.String())
	require.Equal(t, "lk_1", s.calls[0].Header.Get("X-API-Key"))
	require.Equal(t, "Bearer t", s.calls[0].Header.Get("Authorization"))
}

func TestARefusalIsAnError(t *testing.T) {
	t.Parallel()
	s := &script{steps: []func(*http.Request) (*http.Response, error){
		says(404, `{"success":false,"error":"Not Found","message":"There is no such lock.","code":404,"reason":"lock-not-found","field":"id","requestId":"R","errors":[]}`),
	}}
	_, err := s.client(t).GetBasicInfoWithResponse(t.Context(), 42)
	var refusal *client.APIError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, "lock-not-found", refusal.Reason)
	require.Equal(t, "id", refusal.Field)
	require.True(t, client.Refused(err, 404))
	require.Len(t, s.calls, 1)
}

func TestACallIsMadeAgainWhenThatIsSafe(t *testing.T) {
	t.Parallel()
	busy := says(503, `{"reason":"busy"}`, "Retry-After", "2")
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []func(*http.Request) (*http.Response, error){busy, breaks, says(200, lockInfo)}}
		begun := time.Now()
		_, err := s.client(t).GetBasicInfoWithResponse(t.Context(), 42)
		require.NoError(t, err)
		require.Len(t, s.calls, 3)
		require.Equal(t, 2500*time.Millisecond, time.Since(begun), "as the server asked, and then as usual")

		// A command is made again when the server did nothing, and not when nobody knows.
		s = &script{steps: []func(*http.Request) (*http.Response, error){busy, breaks}}
		_, err = s.client(t).SetOwnerWithResponse(t.Context(), 42, client.SetOwnerJSONRequestBody{UserId: nullable.NewNullableWithValue("ann")})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Len(t, s.calls, 2)
		body, err := io.ReadAll(s.calls[1].Body)
		require.NoError(t, err)
		require.JSONEq(t, `{"userId":"ann"}`, string(body))

		s = &script{steps: []func(*http.Request) (*http.Response, error){busy}}
		_, err = s.client(t).GetBasicInfoWithResponse(t.Context(), 42)
		require.True(t, client.Refused(err, 503))
		require.Len(t, s.calls, client.DefaultTries)
	})
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var other atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { other.Add(1) }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(server.Close)
	c, err := client.New(client.Options{Server: server.URL, APIKey: "secret", HTTP: server.Client()})
	require.NoError(t, err)
	answer, err := c.GetBasicInfoWithResponse(t.Context(), 42)
	require.NoError(t, err)
	require.Equal(t, http.StatusTemporaryRedirect, answer.StatusCode())
	require.Zero(t, other.Load())
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []client.Options{{}, {Server: "keys.example"}, {Server: "ftp://x"}, {Server: "http://x", Tries: -1}, {Server: "http://x", Timeout: -1}} {
		_, err := client.New(o)
		require.Error(t, err)
	}
}
