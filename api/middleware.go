package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/lock"
)

// trace is what is known of a request while it is served.
type trace struct {
	requestID string
	caller    lock.Caller
}

type traceKey struct{}

func traceOf(r *http.Request) *trace { return r.Context().Value(traceKey{}).(*trace) }

func callerOf(r *http.Request) lock.Caller { return traceOf(r).caller }

// routeOf is the template of the route, so that neither logs nor metrics have a value for each lock.
func routeOf(r *http.Request) string {
	if pattern := chi.RouteContext(r.Context()).RoutePattern(); pattern != "" {
		return pattern
	}
	return "unmatched"
}

const maxRequestIDLength = 128

// begin gives the request its ID and its time, and the answer the headers that every answer has.
func (s *server) begin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := &trace{requestID: r.Header.Get("X-Request-Id")}
		if !visible(t.requestID, maxRequestIDLength) {
			t.requestID = rand.Text()
		}
		ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), traceKey{}, t), s.RequestTimeout)
		defer cancel()

		h := w.Header()
		h.Set("X-Request-Id", t.requestID)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		// Links are secrets, so other sites get no referrer. Our own do: under no-referrer a browser would send the page's form with
		// the origin null, and older ones, which do not send Sec-Fetch-Site, could not be told from another site.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Content-Security-Policy", pages.ContentSecurityPolicy)
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// visible tells whether s consists of 1 to n visible ASCII characters.
func visible(s string, n int) bool {
	return s != "" && len(s) <= n && !strings.ContainsFunc(s, func(c rune) bool { return c < '!' || c > '~' })
}

func (s *server) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
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
		}()
		next.ServeHTTP(w, r)
	})
}

// refuseIdentityHeaders turns away callers that would say who they are without proof: a proxy in front may trust these.
func (s *server) refuseIdentityHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header["X-Org-Id"] != nil || r.Header["X-User-Id"] != nil {
			s.fail(w, r, errIdentity)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// methodNotAllowed names the methods that the address takes.
func (s *server) methodNotAllowed(routes chi.Routes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
				w.Header().Add("Allow", method)
				if method == http.MethodGet {
					w.Header().Add("Allow", http.MethodHead)
				}
			}
		}
		s.fail(w, r, errMethod)
	}
}

// badParameter answers for the parameters that the generated code reads.
func (s *server) badParameter(w http.ResponseWriter, r *http.Request, err error) {
	var many *TooManyValuesForParamError
	var format *InvalidParamFormatError
	switch {
	case errors.As(err, &many):
		s.fail(w, r, badRequest("parameter-twice", many.ParamName, many.ParamName+" may come once only"))
	case errors.As(err, &format):
		s.fail(w, r, badRequest("parameter-invalid", format.ParamName, format.ParamName+" cannot be read"))
	default:
		s.fail(w, r, badRequest("parameter-invalid", "", "a parameter cannot be read"))
	}
}
