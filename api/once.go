package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

// A request to change something may have a name, in Idempotency-Key. It is stored together with what the request leads to, so
// that a request that is sent again, after a crash or to another node, is answered as before (docs/adr/0017).

var (
	errKeyTwice   = parameterTwice("Idempotency-Key")
	errKeyInvalid = badRequest("idempotency-key-invalid", "Idempotency-Key", "Idempotency-Key must have 1 to 128 visible ASCII characters, without spaces")
	errInFlight   = &problem{status: http.StatusConflict, reason: "request-in-flight", message: "The request with this Idempotency-Key is being carried out. Ask again in a second."}
	errToldBefore = toldBefore("Rotate again, under another Idempotency-Key, if the answer got lost.", Told{})
)

// Told says what a secret is of that is not told again.
type Told struct {
	KeyID string         `json:"keyId,omitempty"`
	UUID  lock.TempKeyID `json:"uuid,omitempty"`
	URL   string         `json:"url,omitempty"`
}

// toldBefore answers a request that was carried out before, and whose answer had a secret.
func toldBefore(advice string, of Told) *problem {
	return &problem{
		status: http.StatusConflict, reason: "secret-told-before", told: &of,
		message: "The request with this Idempotency-Key was carried out, and its answer had a secret, which is told once. " + advice,
	}
}

// requestName is the name of a request, and what it is the name of.
type requestName struct {
	key     string
	what    string         // the operation
	body    []byte         // once it was read
	request *named.Request // when it is about no lock

	once sync.Once
	sum  []byte // made by once
}

// hash is of the request, in a form in which neither the order of fields nor white space matters. It is made once, for all the
// locks of a bulk call.
func (n *requestName) hash() []byte {
	n.once.Do(func() {
		h := sha256.New()
		fmt.Fprintf(h, "%s\n", n.what)
		h.Write(canonical(n.body))
		n.sum = h.Sum(nil)
	})
	return n.sum
}

// canonical writes JSON in one way of many. What is no JSON was refused before anything asks for it.
func canonical(body []byte) []byte {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return body
	}
	data, err := json.Marshal(v)
	if err != nil {
		return body
	}
	return data
}

// flights are the named requests that this node carries out.
type flights struct {
	mu    sync.Mutex
	names map[string]struct{} // guarded by mu
}

func (f *flights) start(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.names[name]; there {
		return false
	}
	if f.names == nil {
		f.names = make(map[string]struct{})
	}
	f.names[name] = struct{}{}
	return true
}

func (f *flights) end(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.names, name)
}

// named reads the name of a request. Opens have names of their own, see openRequestID.
func (s *server) named(w http.ResponseWriter, r *http.Request, next http.Handler) {
	keys := r.Header["Idempotency-Key"]
	if r.Method != http.MethodPost || len(keys) == 0 || isOpen(r) {
		next.ServeHTTP(w, r)
		return
	}
	var err error
	switch {
	case len(keys) > 1:
		err = errKeyTwice
	case !visible(keys[0], maxRequestIDLength):
		err = errKeyInvalid
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	t := traceOf(r)
	t.named = &requestName{key: keys[0], what: r.URL.Path}
	name := fmt.Sprintf("%t %q %q %s", t.caller.Super, t.caller.OrgID, t.caller.UserID, keys[0])
	if !s.flights.start(name) {
		w.Header().Set("Retry-After", "1")
		s.fail(w, r, errInFlight)
		return
	}
	defer s.flights.end(name)
	next.ServeHTTP(w, r)
}

// isOpen tells whether a request is one to open, which has a requestId.
func isOpen(r *http.Request) bool {
	return strings.HasSuffix(r.URL.Path, "/OpenLock") || strings.HasSuffix(r.URL.Path, "/open") || strings.HasSuffix(r.URL.Path, "/open-with-pin")
}

// openRequestID reads the name of a request to open, from the body or from Idempotency-Key, or makes one for a request without.
func openRequestID(r *http.Request, body string) (lock.RequestID, error) {
	switch keys := r.Header["Idempotency-Key"]; {
	case len(keys) > 1:
		return "", errKeyTwice
	case len(keys) == 1 && body != "" && body != keys[0]:
		return "", errTwoNames
	case len(keys) == 1:
		if !visible(keys[0], maxRequestIDLength) {
			return "", errKeyInvalid
		}
		body = keys[0]
	}
	return readRequestID(body)
}

// sayRepeated is sayReplayed for an open, which its lock knows by its requestId.
func sayRepeated(w http.ResponseWriter, o *lock.OpenResult) {
	if o.Replayed {
		replayed(w.Header())
	}
}

// asNamed says of an error of an open that the name was used for another one, in the words in which it was given.
func asNamed(r *http.Request, err error) error {
	var rejection *lock.Error
	if r.Header["Idempotency-Key"] != nil && errors.As(err, &rejection) && rejection.Reason == lock.ReasonRequestReused {
		return lock.ErrKeyReused
	}
	return err
}

// underName gives a command that changes something the name of its request, if that has one.
func underName(ctx context.Context, c lock.Command) lock.Command {
	t, _ := ctx.Value(traceKey{}).(*trace)
	if t == nil || t.named == nil || !lock.IsChange(c) {
		return c
	}
	return &lock.Once{By: t.caller, Key: t.named.key, Hash: t.named.hash(), Command: c}
}

// Names takes the names of requests that are about many locks.
type Names interface {
	// Begin fails with a *lock.Error of the kind Mismatch when the name was used for another request.
	Begin(ctx context.Context, r *named.Request) error
}

// begin takes the name of a request that is about many locks. Each of them remembers what the request has led to there, and none of them
// would notice that the same name came with other locks.
func (s *server) begin(r *http.Request) error {
	t := traceOf(r)
	if t.named == nil {
		return nil
	}
	return s.Names.Begin(r.Context(), &named.Request{By: t.caller, Key: t.named.key, Hash: t.named.hash()})
}

// underOwnName is the context of the one call that a request is about, when that is about no lock: it has the request's name.
func underOwnName(r *http.Request) context.Context {
	t := traceOf(r)
	if t.named == nil {
		return r.Context()
	}
	t.named.request = &named.Request{By: t.caller, Key: t.named.key, Hash: t.named.hash()}
	return named.With(r.Context(), t.named.request)
}

// sayReplayed tells the caller that a request was carried out before, once whatever remembers it has found that.
func (t *trace) sayReplayed() {
	if t.named != nil && t.named.request != nil && t.named.request.Replayed {
		replayed(t.answer.Header())
	}
}

// replayed tells the caller that a request was carried out before.
func replayed(h http.Header) { h.Set("Idempotent-Replayed", "true") }

// partOf is a command for a part of what a lock was asked for, under a name of its own: the lock takes each of them as a request.
func partOf(r *http.Request, c lock.Command, part int) lock.Command {
	t := traceOf(r)
	if t.named == nil {
		return c
	}
	key := sha256.Sum256(fmt.Appendf(nil, "%s\n%d", t.named.key, part))
	return &lock.Once{By: t.caller, Key: hex.EncodeToString(key[:]), Hash: t.named.hash(), Command: c}
}

// recall brings back the event of an answer that was given before.
func (s *server) recall(ctx context.Context, id lock.ID, done *lock.Done) (lock.Reply, error) {
	if t, _ := ctx.Value(traceKey{}).(*trace); t != nil {
		replayed(t.answer.Header())
	}
	again := *done
	if done.EventVersion == 0 {
		return &again, nil
	}
	events, _, err := s.Locks.Events(ctx, id, done.EventVersion-1, 1)
	if err != nil {
		return nil, err
	}
	if len(events) != 1 {
		return nil, fmt.Errorf("api: the lock %s has no event %d", id, done.EventVersion)
	}
	again.Event = events[0].Event
	return lock.Recalled(&again), nil
}
