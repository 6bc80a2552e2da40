// Package client calls Latchkey's API. The operations and their types are generated from the server's openapi.yaml; what is
// written by hand is how calls are made: with credentials, with errors that are Go errors, and again when the server asks
// for that.
//
//	c, err := client.New(client.Options{Server: "https://keys.example.com", APIKey: key})
//	answer, err := c.OpenLockWithResponse(ctx, 42, client.OpenLockJSONRequestBody{Reason: &reason})
//	fmt.Println(answer.JSON200.Outcome)
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml ../api/openapi.yaml

const (
	// DefaultTimeout bounds one try; a server answers within its own 10 seconds.
	DefaultTimeout = 15 * time.Second
	// DefaultTries is how often a call is made that the server has not carried out.
	DefaultTries = 6

	firstPause = 250 * time.Millisecond // before the second try; it doubles, unless the server names one
	maxPause   = 10 * time.Second
	maxAnswer  = 64 << 20 // bytes of an answer
)

// Options say which server is called, and as whom. Fields with a default may be left empty.
type Options struct {
	Server string // base URL, such as https://keys.example.com
	APIKey string // an organisation's API key, or the super key
	Token  string // a user's token
	// HTTP makes the calls; default: http.DefaultClient. Redirects are not followed: they are answers for browsers, and
	// credentials must not travel on.
	HTTP    *http.Client
	Timeout time.Duration // of one try; default: DefaultTimeout
	Tries   int           // default: DefaultTries
}

func (o *Options) validate() error {
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Tries == 0 {
		o.Tries = DefaultTries
	}
	u, err := url.Parse(o.Server)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("client: %q is no http:// or https:// URL", o.Server)
	case o.Timeout < 0 || o.Tries < 0:
		return errors.New("client: a negative timeout, or number of tries")
	}
	return nil
}

// New makes a client.
func New(o Options) (*ClientWithResponses, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	web := *o.HTTP
	web.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return NewClientWithResponses(strings.TrimRight(o.Server, "/"), WithHTTPClient(&caller{Options: o, web: &web}))
}

// APIError is an answer that is no success.
type APIError struct {
	Status    int
	Reason    string // a stable word for programs
	Message   string // for a person
	Field     string // that is wrong
	RequestID string // to look for in the server's logs
	after     time.Duration
}

func (e *APIError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
	}
	return fmt.Sprintf("the server answered %d %s: %s", e.Status, e.Reason, e.Message)
}

// Refused tells whether an error is an answer with this status.
func Refused(err error, status int) bool {
	var e *APIError
	return errors.As(err, &e) && e.Status == status
}

// caller makes the calls of the generated code.
type caller struct {
	Options
	web *http.Client
}

// Do makes a call. It is made again when it did not reach the server, which is safe only for calls that may be repeated:
// queries, and whatever names itself with an Idempotency-Key or a requestId; and when the server says that it did nothing
// and has too much to do.
func (c *caller) Do(r *http.Request) (*http.Response, error) {
	if c.APIKey != "" {
		r.Header.Set("X-API-Key", c.APIKey)
	}
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json")
	}
	repeatable := r.Method == http.MethodGet || r.Method == http.MethodDelete || r.Header.Get("Idempotency-Key") != ""
	pause := firstPause
	for try := 1; ; try++ {
		answer, err := c.try(r)
		if err == nil {
			return answer, nil
		}
		wait := pause
		var refusal *APIError
		if errors.As(err, &refusal) {
			if refusal.Status != http.StatusServiceUnavailable && refusal.Status != http.StatusTooManyRequests {
				return nil, err
			}
			if refusal.after > 0 {
				wait = min(refusal.after, maxPause)
			}
		} else if !repeatable {
			return nil, err
		}
		if try >= c.Tries || !sleep(r.Context(), wait) {
			return nil, err
		}
		pause = min(2*pause, maxPause)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// try makes one call, and reads the whole answer within its time.
func (c *caller) try(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), c.Timeout)
	defer cancel()
	again := r.Clone(ctx)
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		again.Body = body
	}
	answer, err := c.web.Do(again)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= http.StatusBadRequest {
		return nil, problemOf(answer, body)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

func problemOf(answer *http.Response, body []byte) *APIError {
	e := &APIError{Status: answer.StatusCode}
	var said Error
	if json.Unmarshal(body, &said) == nil {
		e.Reason, e.Message, e.RequestID = said.Reason, said.Message, said.RequestId
		if said.Field != nil {
			e.Field = *said.Field
		}
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.after = time.Duration(seconds) * time.Second
	}
	return e
}
