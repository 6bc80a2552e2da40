package api

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/latchkey/latchkey/lock"
)

// trace is what is known of a request while it is served. It is the request's context too, and stands between the handlers
// and the answer, so that a request is copied once and what surrounds it is one allocation.
//
// As a context it ends with the request's time, or when the client leaves. The timer is made when somebody first asks for
// Done, which most requests never do: who waits for a lock has a timer already, and asks for Gone.
type trace struct {
	client   context.Context // ends when it leaves
	deadline time.Time
	once     sync.Once
	timed    atomic.Pointer[timed] // made by once
	untimed  timed                 // takes its place when nobody has asked

	answer    answer
	route     *chi.Context
	rule      rule // of the operation
	requestID string
	caller    lock.Caller
	named     *requestName // nil: the request has no name
	body      bodyBound

	confirmation string // where a guest is told what became of the open that this request asks for; empty: it asks for none
}

// timed is a context with the timer.
type timed struct {
	context.Context
	cancel context.CancelFunc
}

type traceKey struct{}

// Deadline is when the request's time is over.
func (t *trace) Deadline() (time.Time, bool) { return t.deadline, true }

// Gone is closed when the client leaves. It is for those who keep the deadline themselves.
func (t *trace) Gone() <-chan struct{} { return t.client.Done() }

// Done is closed when the client leaves or the time is over.
func (t *trace) Done() <-chan struct{} {
	t.once.Do(func() {
		ctx, cancel := context.WithDeadline(t.client, t.deadline)
		t.timed.Store(&timed{ctx, cancel})
	})
	return t.timed.Load().Done()
}

// end releases the timer. Who asks for Done from now on gets the client's, which ends with the request.
func (t *trace) end() {
	t.once.Do(func() {
		t.untimed = timed{t.client, func() {}}
		t.timed.Store(&t.untimed)
	})
	t.timed.Load().cancel()
}

// Err is why the request is over, or nil.
func (t *trace) Err() error {
	if timed := t.timed.Load(); timed != nil {
		return timed.Err()
	}
	if err := t.client.Err(); err != nil || time.Now().Before(t.deadline) {
		return err
	}
	return context.DeadlineExceeded
}

// Value finds the trace and, for the router, where it got to.
func (t *trace) Value(key any) any {
	switch key {
	case traceKey{}:
		return t
	case chi.RouteCtxKey:
		return t.route
	}
	if timed := t.timed.Load(); timed != nil {
		return timed.Value(key) // a context below this one finds the one to end with there
	}
	return t.client.Value(key)
}

// answer remembers the status of the answer.
type answer struct {
	http.ResponseWriter
	status int
}

// WriteHeader sends the status. As in net/http the first one counts.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap lets an http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func traceOf(r *http.Request) *trace { return r.Context().Value(traceKey{}).(*trace) }

func callerOf(r *http.Request) lock.Caller { return traceOf(r).caller }
