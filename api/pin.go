package api

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// refusalAfter is when a wrong PIN is answered, counted from the request: so late that how long the lock and the journal took
// does not show, and so nothing can be learned from the time.
const refusalAfter = 300 * time.Millisecond

// OpenWithPinResult tells what a right PIN led to.
type OpenWithPinResult struct {
	Success bool `json:"success"`
	Offline bool `json:"offline"`
	OpenOutcome
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

var (
	errWrongPIN   = &problem{status: http.StatusUnauthorized, reason: "invalid-pin", title: "Invalid PIN", message: "This PIN does not open the lock."}
	errPINFormat  = badRequest("pin-invalid", "pin", "pin must have 4 to 8 digits")
	errNoPINs     = &problem{status: http.StatusServiceUnavailable, reason: "pins-not-configured", message: "This server takes no PINs: its operator has to give it --pin-key-file."}
	errPINsLocked = &problem{status: http.StatusTooManyRequests, reason: "panel-locked", message: "Too many wrong PINs were tried. No PIN is looked at before Retry-After has passed."}
)

// OpenWithPin opens for somebody at the panel of a door.
func (s *server) OpenWithPin(w http.ResponseWriter, r *http.Request, id LockId) {
	refuseAt := time.Now().Add(refusalAfter)
	var body OpenWithPinRequest
	if err := s.readBody(w, r, &body); err != nil {
		s.fail(w, r, err)
		return
	}
	if !isPIN(body.Pin) {
		s.fail(w, r, errPINFormat)
		return
	}
	requestID, err := openRequestID(r, body.RequestId)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if s.Collective.PINs == nil {
		s.fail(w, r, errNoPINs)
		return
	}
	lockID, err := lock.ParseID(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	tried, err := s.tryPIN(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer tried(false)
	reply, err := s.Locks.Do(r.Context(), lockID, &lock.OpenWithPIN{
		Hash: s.Collective.PINs.Hash(lockID, body.Pin), RequestID: requestID, CommandID: lock.CommandID(newName()),
		Lifetime: s.OpenLifetime, Hold: guestHold,
	})
	if err != nil {
		s.fail(w, r, asNamed(r, err))
		return
	}
	switch reply := reply.(type) {
	case *lock.OpenResult:
		sayRepeated(w, reply)
		s.write(w, r, http.StatusOK, &OpenWithPinResult{
			Success: !stayedClosed(reply), Offline: reply.Offline,
			OpenOutcome: OpenOutcome{Outcome: reply.Outcome, OpenRequestID: reply.RequestID, CommandID: reply.CommandID},
			Reason:      reply.Reason, Message: messageOf(reply),
		})
	case *lock.PINRefused:
		if reply.LockedFor > 0 {
			w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(reply.LockedFor.Seconds())), 10))
			s.fail(w, r, errPINsLocked)
			return
		}
		tried(true)
		pause(r, refuseAt)
		s.fail(w, r, errWrongPIN)
	default:
		s.fail(w, r, fmt.Errorf("api: an open with a PIN was answered with %T", reply))
	}
}

func isPIN(pin string) bool {
	if len(pin) < 4 || len(pin) > 8 {
		return false
	}
	for _, c := range pin {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// pause waits for an instant, unless the caller leaves.
func pause(r *http.Request, until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}
