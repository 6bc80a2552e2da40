package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	apiAttempts  = 6
	apiPause     = 250 * time.Millisecond // before the second attempt; it doubles
	apiPauseMax  = 10 * time.Second
	apiTimeout   = 15 * time.Second // of one attempt
	apiBodyLimit = 1 << 20
)

// apiClient calls the server's HTTP API with the super key.
type apiClient struct {
	base string
	key  string
	http *http.Client
}

// apiError is an answer of the API that is no success.
type apiError struct {
	Status  int    `json:"-"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	after   time.Duration
}

func (e *apiError) Error() string {
	return fmt.Sprintf("the server answered %d %s: %s", e.Status, e.Reason, e.Message)
}

func (e *apiError) passes() bool {
	return e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests
}

// call makes one call and reads its answer into out. Every call here may be made twice without harm, so it is
// repeated when the server is busy, or not up yet.
func (a *apiClient) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	pause := apiPause
	for attempt := 1; ; attempt++ {
		refusal, err := a.try(ctx, method, path, body, out)
		switch {
		case err == nil && refusal == nil:
			return nil
		case refusal != nil && !refusal.passes():
			return refusal
		case ctx.Err() != nil:
			return ctx.Err()
		case attempt == apiAttempts && refusal != nil:
			return refusal
		case attempt == apiAttempts:
			return err
		}
		wait := pause
		if refusal != nil && refusal.after > 0 {
			wait = min(refusal.after, apiPauseMax)
		}
		pause *= 2
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (a *apiClient) try(ctx context.Context, method, path string, body []byte, out any) (*apiError, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-API-Key", a.key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, apiBodyLimit))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		e := &apiError{Status: resp.StatusCode}
		if json.Unmarshal(text, e) != nil {
			e.Message = "no JSON"
		}
		if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			e.after = time.Duration(max(0, seconds)) * time.Second
		}
		return e, nil
	}
	if out == nil {
		return nil, nil
	}
	return nil, json.Unmarshal(text, out)
}
