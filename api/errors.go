package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// What may go wrong on the way to a lock, whatever carries the command. Errors that wrap one of these get its status.
var (
	ErrBusy        = errors.New("a queue is full")                 // nothing happened: 503
	ErrUnavailable = errors.New("the store or a member is gone")   // nothing happened: 503
	ErrTimeout     = errors.New("the answer did not come in time") // it may have happened: 504
)

// retryAfterSeconds is what a 503 tells the caller to wait.
const retryAfterSeconds = 1

// problem is an error as the caller sees it.
type problem struct {
	status  int
	reason  string
	message string
	field   string
	title   string // in the field error, instead of the name of the status
	told    *Told  // what a secret is of that is not told again
}

func (p *problem) Error() string { return p.message }

var (
	errNoRoute    = &problem{status: http.StatusNotFound, reason: "route-not-found", message: "There is nothing at this address. GET /openapi.json describes what there is."}
	errMethod     = &problem{status: http.StatusMethodNotAllowed, reason: "method-not-allowed", message: "This address takes other methods; see Allow."}
	errSlowBody   = &problem{status: http.StatusRequestTimeout, reason: "body-too-slow", message: "The body did not come in time. Send the request again."}
	errPanic      = &problem{status: http.StatusInternalServerError, reason: "internal", message: "The server failed. If it happens again, tell its operator the requestId."}
	errIdentity   = badRequest("identity-header", "", "X-Org-Id and X-User-Id are not taken: who calls follows from the credentials. Leave the headers out.")
	errForeignWeb = &problem{status: http.StatusForbidden, reason: "cross-origin", message: "Another web site sent this request. Open the key's own page and use the button there."}
)

func badRequest(reason, field, message string) *problem {
	return &problem{status: http.StatusBadRequest, reason: reason, field: field, message: message}
}

// renamed is an error of the kernel about a field that has another name in the request.
func renamed(err error, from, to string) error {
	var rejection *lock.Error
	if !errors.As(err, &rejection) || rejection.Field != from {
		return err
	}
	of := *rejection
	of.Field = to
	return &of
}

func unauthentic(reason, message string) *lock.Error {
	return &lock.Error{Kind: lock.Unauthentic, Reason: reason, Message: message}
}

var statusOf = map[lock.Kind]int{
	lock.Invalid:     http.StatusBadRequest,
	lock.Unauthentic: http.StatusUnauthorized,
	lock.Forbidden:   http.StatusForbidden,
	lock.NotFound:    http.StatusNotFound,
	lock.Conflict:    http.StatusConflict,
	lock.Offline:     http.StatusBadGateway,
	lock.Busy:        http.StatusServiceUnavailable,
	lock.Mismatch:    http.StatusUnprocessableEntity,
}

// problemOf is the only place where an error becomes a status.
func problemOf(r *http.Request, err error) *problem {
	var p *problem
	var rejection *lock.Error
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &rejection) && statusOf[rejection.Kind] != 0:
		return &problem{status: statusOf[rejection.Kind], reason: rejection.Reason, message: rejection.Message, field: rejection.Field}
	case errors.Is(err, ErrBusy):
		return &problem{status: http.StatusServiceUnavailable, reason: "busy", message: "The server has too much to do. Nothing was changed; send the request again in a moment."}
	case errors.Is(err, ErrUnavailable), errors.Is(err, tenant.ErrUnavailable), errors.Is(err, collective.ErrUnavailable):
		return &problem{status: http.StatusServiceUnavailable, reason: "unavailable", message: "A part of the server is not available. Nothing was changed; send the request again in a moment."}
	case errors.Is(err, ErrTimeout), errors.Is(err, tenant.ErrUnknown), errors.Is(err, collective.ErrUnknown), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return &problem{status: http.StatusGatewayTimeout, reason: "timeout", message: "The answer did not come in time. Send the request again."}
		}
		return &problem{status: http.StatusGatewayTimeout, reason: "outcome-unknown", message: "The answer did not come in time; it may have happened or not. Send the same request again to learn it."}
	case errors.Is(err, lock.ErrNewer): // another member may be new enough, as this one will be
		return &problem{status: http.StatusServiceUnavailable, reason: "unavailable", message: "This server has to be upgraded first: a newer one has stored what it does not know. Nothing was changed; send the request again later."}
	default:
		return errPanic
	}
}

// Error is the body of every answer that is not a success. It has the fields of all the shapes that callers know.
type Error struct {
	Success   bool        `json:"success"` // always false
	Error     string      `json:"error"`
	Message   string      `json:"message"`
	Code      int         `json:"code"`
	Reason    string      `json:"reason"`
	Field     string      `json:"field,omitempty"`
	RequestID string      `json:"requestId"`
	Errors    []ErrorItem `json:"errors"`
	*OpenOutcome
	*Told
}

// SecretToldBefore is the error of a request that was carried out before, with Told.
type SecretToldBefore = Error

// ErrorItem repeats the error for callers that look for a list.
type ErrorItem struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// OpenOutcome tells what became of a request to open.
type OpenOutcome struct {
	Outcome       lock.Outcome   `json:"outcome"`
	OpenRequestID lock.RequestID `json:"openRequestId"`
	CommandID     lock.CommandID `json:"commandId"`
}

// fail answers with an error: as JSON, or as a page to a browser.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) { s.failOpen(w, r, err, nil) }

func (s *server) failOpen(w http.ResponseWriter, r *http.Request, err error, open *OpenOutcome) {
	p := problemOf(r, err)
	s.metrics.refused(p.reason)
	requestID := traceOf(r).requestID
	if p.status == http.StatusInternalServerError && !errors.Is(err, errPanic) {
		s.Logger.ErrorContext(r.Context(), "a request failed", "error", err, "request_id", requestID, "method", r.Method, "route", routeOf(r))
	} else if errors.Is(err, lock.ErrNewer) {
		if others, due := s.newer.Due(""); due {
			s.Logger.ErrorContext(r.Context(), "a newer program has stored what this one does not know", "error", err, "request_id", requestID, "others", others)
		}
	}
	switch p.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="latchkey"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(retryAfterSeconds))
	}
	if wantsPage(r) {
		s.writePage(w, r, p.status, errorPage(w.Header(), r, p))
		return
	}
	s.write(w, r, p.status, &Error{
		Error: cmp.Or(p.title, http.StatusText(p.status)), Message: p.message, Code: p.status, Reason: p.reason, Field: p.field,
		RequestID: requestID, Errors: []ErrorItem{{Code: p.status, Message: p.message}}, OpenOutcome: open, Told: p.told,
	})
}

// isNotFound tells whether an error says that there is no such thing, and of what.
func isNotFound(err error, reason string) bool {
	var rejection *lock.Error
	return errors.As(err, &rejection) && rejection.Kind == lock.NotFound && rejection.Reason == reason
}
