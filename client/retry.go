package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// again tells whether a call that failed is made again, and after which time. What the server says that it has not done is, and what nobody
// knows of if it is repeatable: with queries, and with whatever has a name.
func again(err error, repeatable bool, pause time.Duration) (wait time.Duration, ok bool) {
	var refusal *APIError
	if !errors.As(err, &refusal) {
		return pause, (repeatable || unsent(err)) && !lasting(err)
	}
	switch refusal.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		ok = true
	case http.StatusInternalServerError, http.StatusGatewayTimeout:
		ok = repeatable
	case http.StatusConflict:
		ok = refusal.Reason == "request-in-flight" // an earlier try is being carried out
	}
	return max(pause, refusal.RetryAfter), ok
}

// unsent tells whether no server can have heard of a call, whatever it was: there was no connection.
func unsent(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

// lasting tells whether it would be the same the next time: a certificate that is not trusted.
func lasting(err error) bool {
	var untrusted *tls.CertificateVerificationError
	return errors.As(err, &untrusted)
}

// rest waits before a call that failed is made again; at once it gives the reason why nobody waits so long.
func rest(r *http.Request, wait time.Duration, failed error) error {
	deadline, bounded := r.Context().Deadline()
	switch {
	case bounded && time.Until(deadline) < wait:
		return fmt.Errorf("client: %w (it may be made again after %v, and its context ends before)", failed, wait)
	case wait > maxPause && isOpen(r):
		return fmt.Errorf("client: %w (it may be made again after %v, when nobody may stand at the door any more)", failed, wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.Context().Done():
		return fmt.Errorf("client: %w: %w", context.Cause(r.Context()), failed)
	}
}

// isOpen tells whether a call opens a door.
func isOpen(r *http.Request) bool {
	path := r.URL.Path
	return strings.HasSuffix(path, "/OpenLock") || strings.HasSuffix(path, "/open") || strings.HasSuffix(path, "/open-with-pin")
}

// keepBody reads what a call sends, so that it can be sent again.
func keepBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	r.ContentLength = int64(len(body))
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	return body, err
}

// repeatable tells whether a call may be made again of which nobody knows what became: it changes nothing, does no harm when it is repeated,
// or is carried out once because it has a name.
func repeatable(r *http.Request, body []byte) bool {
	return r.Method != http.MethodPost || r.Header.Get("Idempotency-Key") != "" || requestIDIn(r, body) != ""
}

// requestIDIn is the name that a call to open has in its body.
func requestIDIn(r *http.Request, body []byte) string {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return ""
		}
		return form.Get("requestId")
	}
	var open struct{ RequestID string }
	if json.Unmarshal(body, &open) != nil {
		return ""
	}
	return open.RequestID
}
