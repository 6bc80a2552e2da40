package api

import (
	"net/http"

	"github.com/latchkey/latchkey/lock"
)

// readRequestID checks the name of a request to open, or makes one for a request without.
func readRequestID(name string) (lock.RequestID, error) {
	if name == "" {
		return lock.RequestID(newName()), nil
	}
	if !visible(name, maxRequestIDLength) {
		return "", badRequest("request-id-invalid", "requestId", "requestId must have 1 to 128 visible ASCII characters, without spaces")
	}
	return lock.RequestID(name), nil
}

// OpenLock opens for a program, which gets an error when the door stays closed.
func (s *server) OpenLock(w http.ResponseWriter, r *http.Request, id LockId) {
	lockID, err := lock.ParseID(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var body OpenLockRequest
	if err := s.readOptionalBody(w, r, &body); err != nil {
		s.fail(w, r, err)
		return
	}
	requestID, err := openRequestID(r, body.RequestId)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	o, err := ask[*lock.OpenResult](r.Context(), s, lockID, &lock.OpenLock{
		By: callerOf(r), RequestID: requestID, CommandID: lock.CommandID(newName()), Reason: body.Reason, Lifetime: s.OpenLifetime,
	})
	if err == nil && o.Event != nil && o.Event.Reason != body.Reason && r.Header["Idempotency-Key"] != nil {
		err = lock.ErrKeyReused
	}
	if err != nil {
		s.fail(w, r, asNamed(r, err))
		return
	}
	sayRepeated(w, o)
	state := OpenOutcome{Outcome: o.Outcome, OpenRequestID: o.RequestID, CommandID: o.CommandID}
	if stayedClosed(o) {
		s.failOpen(w, r, &problem{status: http.StatusBadGateway, reason: o.Reason, message: messageOf(o)}, &state)
		return
	}
	s.write(w, r, http.StatusOK, &OpenLockResult{
		CommandResult: commandResult(lockID, o.Version, eventOf(o)), OpenOutcome: state,
		Deadline: lock.Instant(o.Deadline), DeadlineEnforced: o.DeadlineEnforced, Reason: o.Reason, Message: o.Message,
	})
}

// stayedClosed tells whether it is certain that nothing has moved, and nothing will.
func stayedClosed(o *lock.OpenResult) bool {
	return o.Outcome == lock.Refused || o.Outcome == lock.Expired
}

// messageOf is what a person is told of an open. Not every device has words for its refusal.
func messageOf(o *lock.OpenResult) string {
	if o.Message == "" && stayedClosed(o) {
		return "The lock did not open."
	}
	return o.Message
}

// eventOf keeps a nil event from becoming an interface that is not nil.
func eventOf(o *lock.OpenResult) lock.Event {
	if o.Event == nil {
		return nil
	}
	return o.Event
}
