package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/lock"
)

// PublicEvent is an event as callers see it.
type PublicEvent struct {
	Type string         `json:"type"`
	Data map[string]any `json:"data"`
}

// CommandResult is the answer to a command.
type CommandResult struct {
	Success     bool         `json:"success"`
	AggregateID string       `json:"aggregateId"`
	Version     uint64       `json:"version"`
	Event       *PublicEvent `json:"event"`
}

// RotateDeviceSecretResult tells a device's new secret.
type RotateDeviceSecretResult struct {
	CommandResult
	Secret string `json:"secret"`
}

// CreateTempKeyResult tells of a new temporary key.
type CreateTempKeyResult struct {
	CommandResult
	TempKeyUUID lock.TempKeyID `json:"tempKeyUuid"`
	URL         string         `json:"url"`
}

// OpenLockResult tells what is known of an open.
type OpenLockResult struct {
	CommandResult
	OpenOutcome
	Deadline         string `json:"deadline"`
	DeadlineEnforced bool   `json:"deadlineEnforced"`
	Reason           string `json:"reason,omitempty"`
	Message          string `json:"message,omitempty"`
}

// commandResult is the answer to a command that ended at a version, with the event that it led to.
func commandResult(id lock.ID, version uint64, event lock.Event) CommandResult {
	result := CommandResult{Success: true, AggregateID: id.String(), Version: version}
	if event != nil {
		typ, data := lock.PublicEvent(id, event)
		result.Event = &PublicEvent{Type: typ, Data: data}
	}
	return result
}

// ask gives a lock a command whose reply is an R.
func ask[R lock.Reply](ctx context.Context, s *server, id lock.ID, c lock.Command) (R, error) {
	reply, err := s.Locks.Do(ctx, id, underName(ctx, c))
	if done, ok := reply.(*lock.Done); ok && err == nil && done.Replayed {
		reply, err = s.recall(ctx, id, done)
	}
	typed, ok := reply.(R)
	if err == nil && !ok {
		err = fmt.Errorf("api: %T was answered with %T", c, reply)
	}
	return typed, err
}

// command carries out a command that is answered with its event, and nothing more.
func (s *server) command(w http.ResponseWriter, r *http.Request, id string, body any, make func(lock.ID) (lock.Command, error)) {
	lockID, done, err := s.run(w, r, id, body, make)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	result := commandResult(lockID, done.Version, done.Event)
	s.write(w, r, http.StatusOK, &result)
}

// run reads the lock's ID and the body, and carries out the command that is made of them.
func (s *server) run(w http.ResponseWriter, r *http.Request, id string, body any, make func(lock.ID) (lock.Command, error)) (lock.ID, *lock.Done, error) {
	return runFor[*lock.Done](s, w, r, id, body, make)
}

// runFor is run for a command whose reply is an R.
func runFor[R lock.Reply](
	s *server, w http.ResponseWriter, r *http.Request, id string, body any, make func(lock.ID) (lock.Command, error),
) (lockID lock.ID, reply R, err error) {
	if lockID, err = lock.ParseID(id); err != nil {
		return 0, reply, err
	}
	if err := s.readBody(w, r, body); err != nil {
		return 0, reply, err
	}
	c, err := make(lockID)
	if err != nil {
		return 0, reply, err
	}
	reply, err = ask[R](r.Context(), s, lockID, c)
	return lockID, reply, err
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooledBuffer keeps the few large answers from staying in memory.
const maxPooledBuffer = 64 << 10

func newBuffer() *bytes.Buffer {
	b := buffers.Get().(*bytes.Buffer)
	b.Reset()
	return b
}

func recycle(b *bytes.Buffer) {
	if b.Cap() <= maxPooledBuffer {
		buffers.Put(b)
	}
}

// encode writes JSON.
func encode(b *bytes.Buffer, body any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e.Encode(body)
}

// write answers with JSON.
func (s *server) write(w http.ResponseWriter, r *http.Request, status int, body any) {
	traceOf(r).sayReplayed()
	b := newBuffer()
	defer recycle(b)
	if err := encode(b, body); err != nil {
		s.Logger.ErrorContext(r.Context(), "an answer could not be written as JSON", "error", err, "route", routeOf(r))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	writeBytes(w, status, mediaJSON, b.Bytes())
}

func (s *server) writePage(w http.ResponseWriter, r *http.Request, status int, page pages.Page) {
	b := newBuffer()
	defer recycle(b)
	if err := page.Render(b); err != nil {
		s.Logger.ErrorContext(r.Context(), "a page could not be rendered", "error", err, "route", routeOf(r))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	// Links are secrets, so other sites get no referrer. Our own do: under no-referrer a browser would send the page's form with
	// the origin null, and older ones, which do not send Sec-Fetch-Site, could not be told from another site.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Content-Security-Policy", pages.ContentSecurityPolicy)
	writeBytes(w, status, mediaHTML, b.Bytes())
}

// Values of Content-Type. Nobody changes them.
var (
	mediaJSON = []string{"application/json; charset=utf-8"}
	mediaHTML = []string{"text/html; charset=utf-8"}
)

// writeBytes sends a whole answer. A caller that has left cannot be told anything, so its error is nobody's.
func writeBytes(w http.ResponseWriter, status int, contentType []string, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
