package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// APIError is an answer that is no success.
type APIError struct {
	Status     int
	Reason     string // a stable word for programs
	Message    string // for a person
	Field      string // that is wrong
	RequestID  string // to look for in the server's logs
	RetryAfter time.Duration

	// Of secret-told-before, what the secret is of: an API key, or a collective key with its page.
	KeyID, UUID, URL string

	// Of an open that failed, what is known of it.
	Outcome                  Outcome
	OpenRequestID, CommandID string

	Body []byte // the whole answer
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

func problemOf(answer *http.Response, body []byte) *APIError {
	e := &APIError{Status: answer.StatusCode, Body: body}
	var said struct {
		Reason, Message, Field, RequestID string
		KeyID, UUID, URL                  string
		Outcome                           Outcome
		OpenRequestID, CommandID          string
	}
	if json.Unmarshal(body, &said) == nil {
		e.Reason, e.Message, e.Field, e.RequestID = said.Reason, said.Message, said.Field, said.RequestID
		e.KeyID, e.UUID, e.URL = said.KeyID, said.UUID, said.URL
		e.Outcome, e.OpenRequestID, e.CommandID = said.Outcome, said.OpenRequestID, said.CommandID
	}
	if seconds, err := strconv.Atoi(answer.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
