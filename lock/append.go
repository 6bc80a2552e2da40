package lock

import (
	"encoding/json"
	"strconv"
	"time"
)

// The three events of an open that goes well are written by hand, at a third of the cost of encoding/json, which is
// what counts when a lock is opened thousands of times a second, and so are the requests to open, which most of the
// snapshot of such a lock consists of. Their JSON means the same; TestHandWrittenJSON and TestHandWrittenRequests compare
// them. All other events are rare.

// appender is an event that can write itself as JSON.
type appender interface {
	appendJSON(dst []byte) ([]byte, error)
}

func (e *TempKeyUsed) appendJSON(dst []byte) ([]byte, error) {
	dst, err := e.appendStamp(dst)
	dst = appendField(dst, `,"tempKeyUuid":`, e.TempKeyID)
	dst = appendOptional(dst, `,"userId":`, e.UserID)
	dst = append(dst, `,"usedCount":`...)
	dst = strconv.AppendInt(dst, e.UsedCount, 10)
	dst = appendOptional(dst, `,"requestId":`, e.RequestID)
	return append(dst, '}'), err
}

func (e *LockOpenRequested) appendJSON(dst []byte) ([]byte, error) {
	dst, err := e.appendStamp(dst)
	if err != nil {
		return dst, err
	}
	dst = appendField(dst, `,"requestId":`, e.RequestID)
	dst = appendField(dst, `,"commandId":`, e.CommandID)
	dst = appendOptional(dst, `,"tempKeyUuid":`, e.TempKeyID)
	dst = appendOptional(dst, `,"userId":`, e.UserID)
	dst = appendOptional(dst, `,"reason":`, e.Reason)
	dst = appendTrue(dst, `,"joined":true`, e.Joined)
	dst = appendTrue(dst, `,"held":true`, e.Held)
	dst = appendTrue(dst, `,"pin":true`, e.PIN)
	dst, err = appendTime(append(dst, `,"deadline":`...), e.Deadline)
	if e.Session != (Session{}) {
		dst = appendField(dst, `,"session":{"node":`, e.Session.Node)
		dst = append(dst, `,"id":`...)
		dst = append(strconv.AppendUint(dst, e.Session.ID, 10), '}')
	}
	dst = appendTrue(dst, `,"deadlineEnforced":true`, e.DeadlineEnforced)
	if e.Forgets != 0 {
		dst = strconv.AppendUint(append(dst, `,"forgets":`...), e.Forgets, 10)
	}
	return append(dst, '}'), err
}

func (e *LockOpened) appendJSON(dst []byte) ([]byte, error) {
	dst, err := e.appendStamp(dst)
	dst = appendField(dst, `,"commandId":`, e.CommandID)
	dst = appendOptional(dst, `,"bolt":`, e.Bolt)
	dst = append(dst, `,"deadlineEnforced":`...)
	dst = strconv.AppendBool(dst, e.DeadlineEnforced)
	dst = appendTrue(dst, `,"resolved":true`, e.Resolved)
	dst = appendList(dst, `,"requestIds":`, e.RequestIDs)
	dst = appendList(dst, `,"tempKeyUuids":`, e.TempKeyIDs)
	return append(dst, '}'), err
}

func (r *request) appendJSON(dst []byte) ([]byte, error) {
	dst = appendField(append(dst, '{'), `"id":`, r.ID)
	dst = appendField(dst, `,"commandId":`, r.CommandID)
	dst = appendOptional(dst, `,"tempKeyUuid":`, r.TempKeyID)
	dst = appendOptional(dst, `,"by":`, r.By)
	dst = appendOptional(dst, `,"orgId":`, r.OrgID)
	dst = appendOptional(dst, `,"userId":`, r.UserID)
	dst = appendOptional(dst, `,"why":`, r.Why)
	dst, err := appendTime(append(dst, `,"at":`...), r.At)
	if err != nil {
		return dst, err
	}
	dst, err = appendTime(append(dst, `,"deadline":`...), r.Deadline)
	dst = strconv.AppendUint(append(dst, `,"version":`...), r.Version, 10)
	dst = appendTrue(dst, `,"offline":true`, r.Offline)
	dst = appendTrue(dst, `,"joined":true`, r.Joined)
	dst = appendField(dst, `,"outcome":`, r.Outcome)
	dst = appendOptional(dst, `,"reason":`, r.Reason)
	dst = appendOptional(dst, `,"message":`, r.Message)
	dst = appendTrue(dst, `,"deadlineEnforced":true`, r.DeadlineEnforced)
	dst = appendTrue(dst, `,"useReturned":true`, r.UseReturned)
	dst = appendTrue(dst, `,"keyDeleted":true`, r.KeyDeleted)
	return append(dst, '}'), err
}

// appendStamp writes the first fields of an event, and leaves its object open.
func (s *Stamp) appendStamp(dst []byte) ([]byte, error) {
	dst, err := appendTime(append(dst, `{"at":`...), s.At)
	dst = appendField(dst, `,"lockUuid":`, s.LockUUID)
	dst = appendOptional(dst, `,"orgId":`, s.OrgID)
	dst = appendOptional(dst, `,"by":`, s.By)
	dst = appendTrue(dst, `,"byUser":true`, s.ByUser)
	dst = appendOptional(dst, `,"via":`, s.Via)
	return appendOptional(dst, `,"from":`, s.From), err
}

func appendTime(dst []byte, t time.Time) ([]byte, error) {
	dst, err := t.AppendText(append(dst, '"'))
	return append(dst, '"'), err
}

func appendTrue(dst []byte, field string, b bool) []byte {
	if !b {
		return dst
	}
	return append(dst, field...)
}

func appendOptional[T ~string](dst []byte, name string, s T) []byte {
	if s == "" {
		return dst
	}
	return appendField(dst, name, s)
}

// appendList writes a list of texts unless it is empty.
func appendList[T ~string](dst []byte, name string, list []T) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(dst, name...)
	before := byte('[')
	for _, s := range list {
		dst = appendText(append(dst, before), s)
		before = ','
	}
	return append(dst, ']')
}

func appendField[T ~string](dst []byte, name string, s T) []byte {
	return appendText(append(dst, name...), s)
}

// appendText writes a text. One that is not plain ASCII is left to encoding/json.
func appendText[T ~string](dst []byte, s T) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(string(s)) // a string has no way to fail
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
