package api

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
)

// routeOf is the template of the route, so that neither logs nor metrics have a value for each lock.
func routeOf(r *http.Request) string {
	if r.Pattern == "" {
		return "unmatched"
	}
	return r.Pattern
}

const maxRequestIDLength = 128

// Values of headers that all answers share. Nobody changes them.
var (
	nosniff = []string{"nosniff"}
	noStore = []string{"no-store"}
)

var routeContexts = sync.Pool{New: func() any { return chi.NewRouteContext() }}

// serve is what surrounds every operation: it gives the request its ID and its time, and the answer the headers that every
// answer has, counts, and answers for panics.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	t := &trace{
		client: r.Context(), deadline: start.Add(s.RequestTimeout), answer: answer{ResponseWriter: w},
		route: routeContexts.Get().(*chi.Context), requestID: r.Header.Get("X-Request-Id"),
	}
	defer t.end()
	if !visible(t.requestID, maxRequestIDLength) {
		t.requestID = newName()
	}
	h := w.Header()
	h["X-Request-Id"] = []string{t.requestID}
	h["X-Content-Type-Options"] = nosniff
	h["Cache-Control"] = noStore

	w, r = &t.answer, r.WithContext(t)
	r.Pattern = "" // of a router before ours
	defer func() {
		s.metrics.observe(r, t.answer.status, time.Since(start))
		t.route.Reset()
		routeContexts.Put(t.route)
	}()
	defer s.recoverPanic(w, r)
	if r.Header["X-Org-Id"] != nil || r.Header["X-User-Id"] != nil {
		s.fail(w, r, errIdentity) // a proxy in front may trust these
		return
	}
	s.routes.serve(w, r, t)
}

// newName makes a name that nobody else has, of 128 random bits. Names are no secrets.
func newName() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var name [26]byte
	for half := 0; half < len(name); half += len(name) / 2 {
		bits := rand.Uint64()
		for i := range len(name) / 2 {
			name[half+i] = letters[bits%32]
			bits >>= 5
		}
	}
	return string(name[:])
}

// visible tells whether s consists of 1 to n visible ASCII characters.
func visible(s string, n int) bool {
	if s == "" || len(s) > n {
		return false
	}
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}

// recoverPanic is deferred.
func (s *server) recoverPanic(w http.ResponseWriter, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	s.Logger.ErrorContext(r.Context(), "a request panicked", "panic", fmt.Sprint(v), "request_id", traceOf(r).requestID,
		"method", r.Method, "route", routeOf(r), "stack", string(debug.Stack()))
	s.fail(w, r, errPanic)
}

// notFound answers where there is nothing.
func (s *server) notFound(w http.ResponseWriter, r *http.Request) {
	if !leadBack(w, r) {
		s.fail(w, r, errNoRoute)
	}
}

// methodNotAllowed names the methods that the address takes.
func (s *server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	if leadBack(w, r) {
		return
	}
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if s.routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", ")) // one line: many programs read the first one only
	s.fail(w, r, errMethod)
}

// badParameter answers for the parameters that the generated code reads.
func (s *server) badParameter(w http.ResponseWriter, r *http.Request, err error) {
	var many *TooManyValuesForParamError
	var format *InvalidParamFormatError
	switch {
	case errors.As(err, &many):
		s.fail(w, r, parameterTwice(many.ParamName))
	case errors.As(err, &format) && len(r.URL.Query()[format.ParamName]) > 1:
		s.fail(w, r, parameterTwice(format.ParamName))
	case errors.As(err, &format):
		s.fail(w, r, badRequest("parameter-invalid", format.ParamName, format.ParamName+" cannot be read"))
	default:
		s.fail(w, r, badRequest("parameter-invalid", "", "a parameter cannot be read"))
	}
}

func parameterTwice(name string) error {
	return badRequest("parameter-twice", name, name+" may come once only")
}

// checkQuery refuses a query of which a part cannot be read: what reads the parameters passes over that part, so that a list would lack
// its filters.
func checkQuery(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return badRequest("parameter-invalid", "", "The query cannot be read: "+err.Error()+". What is no letter or digit must be escaped, such as %3B for a semicolon.")
	}
	return nil
}
