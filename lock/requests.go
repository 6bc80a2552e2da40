package lock

import (
	"encoding/json"
	"time"
)

// A lock remembers the answers to its requests to open for 24 hours, up to 4,096 of them, and to at least the last 16.
// The latter is what a lock that nobody opens any more weighs for ever, so it is small.
const (
	requestsKept    = 16
	requestsMax     = 4096
	requestsKeptFor = 24 * time.Hour
)

// request is one accepted request to open, with what became of it.
type request struct {
	ID               RequestID `json:"id"`
	CommandID        CommandID `json:"commandId"`
	TempKeyID        TempKeyID `json:"tempKeyUuid,omitempty"`
	By               string    `json:"by,omitempty"`
	OrgID            OrgID     `json:"orgId,omitempty"`
	UserID           UserID    `json:"userId,omitempty"`
	Why              string    `json:"why,omitempty"` // the reason that the caller gave
	At               time.Time `json:"at"`
	Deadline         time.Time `json:"deadline"` // of its command
	Version          uint64    `json:"version"`  // of its LockOpenRequested
	Offline          bool      `json:"offline,omitempty"`
	Joined           bool      `json:"joined,omitempty"`
	Outcome          Outcome   `json:"outcome"`
	Reason           string    `json:"reason,omitempty"`
	Message          string    `json:"message,omitempty"`
	DeadlineEnforced bool      `json:"deadlineEnforced,omitempty"`
	UseReturned      bool      `json:"useReturned,omitempty"`
	KeyDeleted       bool      `json:"keyDeleted,omitempty"` // while it was on its way
}

// requestLog holds the latest requests, oldest first.
type requestLog struct {
	list []*request
	byID map[RequestID]*request
}

func (l *requestLog) find(id RequestID) *request { return l.byID[id] }

// add appends a request and forgets the oldest ones. It looks at no clock but the event's, so that a replay forgets the same ones.
func (l *requestLog) add(r *request) {
	if l.byID == nil {
		l.byID = make(map[RequestID]*request)
	}
	l.list = append(l.list, r)
	l.byID[r.ID] = r
	for len(l.list) > requestsMax || len(l.list) > requestsKept && r.At.Sub(l.list[0].At) > requestsKeptFor {
		delete(l.byID, l.list[0].ID)
		l.list[0] = nil
		l.list = l.list[1:]
	}
}

// MarshalJSON writes the list alone.
func (l requestLog) MarshalJSON() ([]byte, error) {
	if len(l.list) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal(l.list)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *requestLog) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &l.list); err != nil || len(l.list) == 0 {
		return err
	}
	l.byID = make(map[RequestID]*request, len(l.list))
	for _, r := range l.list {
		if r == nil {
			return errNull
		}
		l.byID[r.ID] = r
	}
	return nil
}
