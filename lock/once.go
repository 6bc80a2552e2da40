package lock

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A lock remembers the names of the requests that changed it for 24 hours, up to 1,024 of them.
const (
	onceMax     = 1024
	onceKeptFor = 24 * time.Hour
	onceHash    = 32 // bytes
)

// Once is a command under a name that its caller chose. The lock remembers the name in the same append as what the command leads to,
// so that it is carried out once, whatever crashes: sent again by the same caller it is answered as before. A command that is
// refused changes nothing, so that its name stays free.
type Once struct {
	By      Caller
	Key     string
	Hash    []byte // of the whole request: the same name for another request is refused
	Command Command
}

func (*Once) isCommand() {}

// ErrKeyReused says that the name of a request was used for another one.
var ErrKeyReused = reject(Mismatch, "idempotency-key-reused", "This Idempotency-Key was used for another request. Use a new one for each request.")

// RequestRemembered says that a request was carried out. It is the last event of its append.
type RequestRemembered struct {
	Stamp
	Key  string `json:"key"`
	Of   string `json:"of"` // whose name it is
	Hash []byte `json:"hash"`
	// Version is that of the answer, and Event that of the event in it, which may be this one; 0: there was none.
	Version uint64 `json:"version,omitempty"`
	Event   uint64 `json:"event,omitempty"`
	// CommandID is that of a change of a permanent key which the device has a part in. The answer is known when that has ended.
	CommandID CommandID `json:"commandId,omitempty"`
	// OnDevice is what the device has of a permanent key that nothing was changed of.
	OnDevice Presence `json:"onDevice,omitempty"`
	// Items are the answer to a command for many temporary keys.
	Items []RememberedItem `json:"items,omitempty"`
}

// RememberedItem is what became of one temporary key of many.
type RememberedItem struct {
	TempKeyID TempKeyID `json:"tempKeyUuid"`
	Version   uint64    `json:"version,omitempty"`
	Changed   bool      `json:"changed,omitempty"`
	Err       *Error    `json:"error,omitempty"`
}

// EventType gives the type of the record.
func (*RequestRemembered) EventType() string { return "RequestRemembered" }

// remembered is a request that was carried out.
type remembered struct {
	Key     string    `json:"key"`
	Of      string    `json:"of"`
	Hash    []byte    `json:"hash"`
	At      time.Time `json:"at"`
	Version uint64    `json:"version,omitempty"`
	Event   uint64    `json:"event,omitempty"`
	Command CommandID `json:"commandId,omitempty"` // that has to end well before there is an answer
}

// onceLog holds the requests that were carried out, oldest first.
type onceLog struct {
	list []*remembered
	byID map[[2]string]*remembered // by whose it is, and its name
}

func (l *onceLog) add(r *remembered) {
	if l.byID == nil {
		l.byID = make(map[[2]string]*remembered)
	}
	l.list = append(l.list, r)
	l.byID[[2]string{r.Of, r.Key}] = r
	for len(l.list) > onceMax || r.At.Sub(l.list[0].At) >= onceKeptFor {
		first := l.list[0]
		if id := [2]string{first.Of, first.Key}; l.byID[id] == first {
			delete(l.byID, id)
		}
		l.list = slices.Delete(l.list, 0, 1)
	}
}

// find gives the request of a name that is remembered; nil: there is none.
func (l *onceLog) find(c *Once, now time.Time) *remembered {
	known := func(r *remembered) bool { return r != nil && now.Sub(r.At) < onceKeptFor }
	if r := l.byID[[2]string{c.By.Scope(), c.Key}]; known(r) {
		return r
	}
	if r := l.byID[[2]string{c.By.ScopeBefore(), c.Key}]; known(r) && bytes.Equal(r.Hash, c.Hash) {
		return r
	}
	return nil
}

// confirmed notes the answer to the requests for a command about a permanent key.
func (l *onceLog) confirmed(id CommandID, version, event uint64) {
	for _, r := range l.list {
		if r.Command == id && id != "" {
			r.Version, r.Event, r.Command = version, event, ""
		}
	}
}

// MarshalJSON writes the list alone.
func (l onceLog) MarshalJSON() ([]byte, error) {
	if len(l.list) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal(l.list)
}

// load takes what MarshalJSON wrote.
func (l *onceLog) load(list []*remembered) error {
	*l = onceLog{}
	for _, r := range list {
		if r == nil {
			return errNull
		}
		if l.byID == nil {
			l.byID = make(map[[2]string]*remembered)
		}
		l.list = append(l.list, r)
		l.byID[[2]string{r.Of, r.Key}] = r
	}
	return nil
}

// Scope says whose names of requests a caller has: those of an organisation, of a user or of the operator, whatever they are called.
// Whoever shows a user's token beside a key is neither of the two alone, or staff of two organisations would get the answers of both.
func (c Caller) Scope() string {
	switch {
	case c.UserID == "":
		return c.nearest()
	case c.OrgID != "":
		return fmt.Sprintf("user %q with org %q", c.UserID, c.OrgID)
	case c.Super:
		return fmt.Sprintf("user %q with super", c.UserID)
	}
	return fmt.Sprintf("user %q", c.UserID)
}

// ScopeBefore is where requests of a user were remembered before Scope told with whose key they came. So a name that is found there may
// be another caller's: it counts for the very same request only, and for what the caller has a right to. Empty: there is no such place.
func (c Caller) ScopeBefore() string {
	if c.UserID == "" {
		return ""
	}
	return c.nearest()
}

// nearest names a caller in one way: a user by whichever key, an organisation, or the operator.
func (c Caller) nearest() string {
	switch {
	case c.UserID != "":
		return "user:" + string(c.UserID)
	case c.OrgID != "":
		return "org:" + string(c.OrgID)
	case c.Super:
		return "super"
	}
	return "guest"
}
