package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/client"
)

type steps = []func(*http.Request) (*http.Response, error)

var (
	name      = client.IdempotencyKey("n1")
	inFlight  = says(409, `{"reason":"request-in-flight"}`, "Retry-After", "1")
	succeeded = says(200, `{"success":true}`)
)

func own(t *testing.T, c *client.ClientWithResponses, more ...client.RequestEditorFn) error {
	_, err := c.SetOwnerWithResponse(t.Context(), 42, client.SetOwnerJSONRequestBody{UserId: nullable.NewNullableWithValue("ann")}, more...)
	return err
}

// A connection that broke while the server was at it must not look like a refusal.
func TestACallThatIsBeingCarriedOutIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: steps{breaks, inFlight, inFlight, succeeded}}
		begun := time.Now()
		require.NoError(t, own(t, s.client(t), name))
		require.Equal(t, 2250*time.Millisecond, time.Since(begun), "a pause, and then as the server says")
		for _, call := range s.calls {
			require.Equal(t, "n1", call.Header.Get("Idempotency-Key"))
		}
		// Any other conflict is an answer.
		s = &script{steps: steps{says(409, `{"reason":"lock-exists"}`, "Retry-After", "1")}}
		require.True(t, client.Refused(own(t, s.client(t), name), 409))
		require.Len(t, s.calls, 1)
	})
}

func TestWhatIsSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			status         int
			named, unnamed bool
		}{
			{408, true, true}, {429, true, true}, {503, true, true}, // nothing was done
			{500, true, false}, {504, true, false}, // nobody knows
			{400, false, false}, {404, false, false}, {422, false, false}, {502, false, false},
		} {
			for _, named := range []bool{true, false} {
				s, again, more := &script{steps: steps{says(c.status, `{}`), succeeded}}, c.unnamed, []client.RequestEditorFn(nil)
				if named {
					again, more = c.named, append(more, name)
				}
				err := own(t, s.client(t), more...)
				require.Equal(t, again, err == nil, "%d named %t: %v", c.status, named, err)
				require.Equal(t, !again, client.Refused(err, c.status))
			}
		}
	})
}

// The requestId in the body of an open is its name as well.
func TestAnOpenWithARequestIDIsSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		id := "r1"
		for _, open := range []func(*client.ClientWithResponses) error{
			func(c *client.ClientWithResponses) error {
				_, err := c.OpenLockWithResponse(t.Context(), 42, client.OpenLockRequest{RequestId: &id})
				return err
			},
			func(c *client.ClientWithResponses) error {
				// A reader that can be read once.
				_, err := c.OpenLockWithBodyWithResponse(t.Context(), 42, "application/json", io.MultiReader(strings.NewReader(`{"requestId":"r1"}`)))
				return err
			},
			func(c *client.ClientWithResponses) error {
				_, err := c.OpenWithTempKeyWithFormdataBodyWithResponse(t.Context(), "u", nil, client.OpenWithTempKeyRequest{RequestId: &id})
				return err
			},
		} {
			s := &script{steps: steps{breaks, says(504, `{}`), succeeded}}
			require.NoError(t, open(s.client(t)))
			require.Len(t, s.calls, 3)
			for _, call := range s.calls {
				body, err := io.ReadAll(call.Body)
				require.NoError(t, err)
				require.Contains(t, string(body), "r1", "it comes whole each time")
			}
		}
		s := &script{steps: steps{breaks}}
		_, err := s.client(t).OpenLockWithResponse(t.Context(), 42, client.OpenLockRequest{})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Len(t, s.calls, 1, "without a name the door might open twice")
	})
}

func TestTheServerSaysHowLongToWait(t *testing.T) {
	t.Parallel()
	busy := says(429, `{"reason":"too-many-requests"}`, "Retry-After", "60")
	synctest.Test(t, func(t *testing.T) {
		s, begun := &script{steps: steps{busy, succeeded}}, time.Now()
		require.NoError(t, own(t, s.client(t)))
		require.Equal(t, time.Minute, time.Since(begun))

		// Nobody waits for what cannot come in time.
		ctx, cancel := context.WithTimeout(t.Context(), 59*time.Second)
		defer cancel()
		s, begun = &script{steps: steps{busy}}, time.Now()
		_, err := s.client(t).GetBasicInfoWithResponse(ctx, 42)
		require.ErrorContains(t, err, "1m0s")
		require.ErrorContains(t, err, "its context ends before")
		var refusal *client.APIError
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, time.Minute, refusal.RetryAfter)
		require.Zero(t, time.Since(begun))

		// Nor does a door open for somebody who may have gone.
		s = &script{steps: steps{busy}}
		_, err = s.client(t).OpenWithPinWithResponse(t.Context(), 42, client.OpenWithPinRequest{Pin: "040817"})
		require.True(t, client.Refused(err, 429))
		require.Len(t, s.calls, 1)
		require.Zero(t, time.Since(begun))

		// Whoever gives up while it waits hears both why and what was waited for.
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = (&script{steps: steps{busy}}).client(t).GetBasicInfoWithResponse(ctx, 42)
		require.ErrorIs(t, err, context.Canceled)
		require.True(t, client.Refused(err, 429))
	})
}

// Without a connection nothing was sent, so nothing can be done twice.
func TestACallThatWasNotSentIsSentAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
		}
		s := &script{steps: steps{refused, succeeded}}
		require.NoError(t, own(t, s.client(t)), "also a change without a name")
		lost := func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
		}
		s = &script{steps: steps{lost, succeeded}}
		require.ErrorContains(t, own(t, s.client(t)), "reset")
	})
}

// A certificate that is not trusted is not trusted the next time either.
func TestNobodyWaitsForACertificate(t *testing.T) {
	t.Parallel()
	s := &script{steps: steps{func(*http.Request) (*http.Response, error) {
		return nil, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	}}}
	_, err := s.client(t).GetBasicInfoWithResponse(t.Context(), 42)
	require.ErrorContains(t, err, "certificate")
	require.Len(t, s.calls, 1)
}
