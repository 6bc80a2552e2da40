package lock

import "strconv"

// Kind says what sort of answer an Error is. It is mapped to an HTTP status or a close code once, at the edge.
type Kind uint8

// The kinds of Error. Their numbers are in journals: new ones come last.
const (
	Invalid     Kind = iota + 1 // the request itself is wrong: 400
	Unauthentic                 // the credentials are missing or wrong: 401
	Forbidden                   // the caller may not do that, or the key does not allow it now: 403
	NotFound                    // there is no such thing, or the caller may not know of it: 404
	Conflict                    // it contradicts what is already there: 409
	Offline                     // the device has no session: 502
	Busy                        // a bounded queue or list is full; come back later: 503
	Mismatch                    // its name was used for another request: 422
)

// Error is a rejection. Nothing was changed.
type Error struct {
	Kind    Kind   `json:"kind"`
	Reason  string `json:"reason"`          // a stable word for programs, such as "temp-key-used-up"
	Message string `json:"message"`         // for a person: what is wrong and what to do
	Field   string `json:"field,omitempty"` // the field of the request that is wrong, if it is one
}

func (e *Error) Error() string { return e.Message }

// in says that the field is one of an item of a list.
func (e *Error) in(list string, i int) *Error {
	e.Field = list + "[" + strconv.Itoa(i) + "]." + e.Field
	return e
}

func invalid(field, reason, message string) *Error {
	return &Error{Kind: Invalid, Field: field, Reason: reason, Message: message}
}

func reject(kind Kind, reason, message string) *Error {
	return &Error{Kind: kind, Reason: reason, Message: message}
}
