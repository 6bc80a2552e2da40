// Package client calls Latchkey's API. The operations and their types are generated from the server's openapi.yaml; what is
// written by hand is how calls are made: with credentials, with errors that are Go errors, and again when the server asks
// for that.
//
//	c, err := client.New(client.Options{Server: "https://keys.example.com", APIKey: key})
//	answer, err := c.OpenLockWithResponse(ctx, 42, client.OpenLockJSONRequestBody{Reason: &reason})
//	fmt.Println(answer.JSON200.Outcome)
//
// A call whose answer got lost is made again when it is a query, or has a name: see IdempotencyKey. The server says how long to wait before
// that, and the context of the call how long that may be.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

//go:generate go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2 -config oapi-codegen.yaml ../api/openapi.yaml

const (
	// DefaultTimeout bounds one try; a server answers within its own 10 seconds.
	DefaultTimeout = 15 * time.Second
	// DefaultTries is how often a call is made that the server has not carried out.
	DefaultTries = 6

	firstPause = 250 * time.Millisecond // before the second try; it doubles, unless the server names a longer one
	maxPause   = 10 * time.Second       // that is not the server's
	maxAnswer  = 64 << 20               // bytes of an answer
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

// caller makes the calls of the generated code.
type caller struct {
	Options
	web *http.Client
}

// Do makes a call. It is made again when the server says that it did nothing, or is still at it, and also when nobody knows whether it
// did, if that is safe: with queries, with whatever names itself with an Idempotency-Key or a requestId, and when there was no connection to
// send it on. The server says how long to wait; the context says how long that may be.
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
	body, err := keepBody(r)
	if err != nil {
		return nil, err
	}
	pause, repeatable := firstPause, repeatable(r, body)
	for try := 1; ; try++ {
		answer, err := c.try(r)
		if err == nil {
			return answer, nil
		}
		wait, ok := again(err, repeatable, pause)
		if !ok || try >= c.Tries || r.Context().Err() != nil {
			return nil, err
		}
		if err := rest(r, wait, err); err != nil {
			return nil, err
		}
		pause = min(2*pause, maxPause)
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
	body, err := readAnswer(answer.Body)
	switch {
	case answer.StatusCode >= http.StatusBadRequest && err == nil:
		return nil, problemOf(answer, body)
	case err != nil && !(isExport(answer) && bytes.IndexByte(body, '\n') >= 0):
		return nil, err
	}
	answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	return answer, nil
}

// readAnswer reads an answer, and what came of it before an error.
func readAnswer(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxAnswer))
	if err == nil && len(body) == maxAnswer {
		err = errTooLarge
	}
	return body, err
}

var errTooLarge = fmt.Errorf("client: the answer has %d bytes or more", maxAnswer)

// failing is how an answer ends: with an error, when the lines of an export that came before it are worth something.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}
