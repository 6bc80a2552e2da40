package lock

import (
	"bytes"
	"encoding/json"
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
	// Version is that of the answer, and Event that of the event in it; 0: there was none. Both are 0 where the answer is found
	// by doing the command again, which changes nothing then.
	Version uint64 `json:"version,omitempty"`
	Event   uint64 `json:"event,omitempty"`
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

// MarshalJSON writes the list alone.
func (l onceLog) MarshalJSON() ([]byte, error) {
	if len(l.list) == 0 {
		return []byte("[]"), nil
	}
	return json.Marshal(l.list)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *onceLog) UnmarshalJSON(b []byte) error {
	var list []*remembered
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
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

// Scope keeps the names of a user, an organisation and the operator apart, whatever they are called.
func (c Caller) Scope() string {
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

func (s *State) once(c *Once, now time.Time) (Decision, error) {
	if !isToken(c.Key) || len(c.Hash) != onceHash {
		return Decision{}, invalid("Idempotency-Key", "idempotency-key-invalid", "Idempotency-Key must have 1 to 128 visible ASCII characters")
	}
	if r := s.Once.byID[[2]string{c.By.Scope(), c.Key}]; r != nil && now.Sub(r.At) < onceKeptFor {
		return s.onceMore(c, r, now)
	}
	d, err := Decide(s, c.Command, now)
	if err != nil {
		return Decision{}, err
	}
	e := &RequestRemembered{Stamp: s.stampBy(c.By, now), Key: c.Key, Of: c.By.Scope(), Hash: c.Hash}
	if done, ok := d.Reply.(*Done); ok {
		e.Version = done.Version
		for i, event := range d.Events {
			if event == done.Event {
				e.Event = s.Version + count(d.Events[:i+1])
			}
			if created, ok := event.(*LockCreated); ok {
				e.LockUUID, e.OrgID = created.LockUUID, created.OrgID
			}
		}
	}
	d.Events = append(d.Events, e)
	return d, nil
}

// onceMore answers a request that was carried out before.
func (s *State) onceMore(c *Once, r *remembered, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if !bytes.Equal(r.Hash, c.Hash) {
		return Decision{}, ErrKeyReused
	}
	if r.Version == 0 {
		return Decide(s, c.Command, now)
	}
	d := Decision{Reply: &Done{Version: r.Version, Replayed: true, EventVersion: r.Event}}
	// Whoever repeats a revocation waits as long as the one who made it.
	switch c := c.Command.(type) {
	case *DeleteTempKey:
		s.waitOut(&d, &TempKey{UUID: c.TempKeyID}, now)
	case *UpdateTempKey:
		if k := s.TempKeys.find(c.TempKeyID); k != nil {
			s.waitOut(&d, k, now)
		} else {
			s.waitOut(&d, &TempKey{UUID: c.TempKeyID}, now)
		}
	}
	return d, nil
}
