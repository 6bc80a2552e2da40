package tests

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// story is what the journal tells, in the order in which it was written, with everything in it that contradicts itself.
type story struct {
	streams  map[string][]journal.Record
	keys     map[lock.TempKeyID]*keyStory
	requests map[string]*requestStory // by lock and request ID
	commands map[lock.CommandID]*commandStory
	returns  []useReturned
	bad      []string
}

type keyStory struct {
	lock  lock.ID
	limit *int64
	used  int64
	// highest is the highest limit that the key ever had; nil: it was without one for a while.
	highest *int64
	deleted bool
}

type requestStory struct {
	id        lock.RequestID
	key       lock.TempKeyID
	command   *commandStory
	used      bool
	returned  bool
	withdrawn bool // it left its command before that went out
}

type commandStory struct {
	id       lock.CommandID
	lock     lock.ID
	requests []*requestStory
	deadline time.Time
	outcome  lock.Outcome
}

type useReturned struct {
	lock lock.ID
	key  lock.TempKeyID
	at   time.Time
}

func readStory(records []journal.Record) *story {
	s := &story{
		streams: make(map[string][]journal.Record), keys: make(map[lock.TempKeyID]*keyStory),
		requests: make(map[string]*requestStory), commands: make(map[lock.CommandID]*commandStory),
	}
	reported := make(map[lock.ID]uint64)
	for i, r := range records {
		if r.Position != uint64(i+1) {
			s.complain("I5: position %d follows after %d records", r.Position, i)
		}
		stream := s.streams[r.Stream]
		if r.Version != uint64(len(stream)+1) {
			s.complain("I5: %s has version %d after %d records", r.Stream, r.Version, len(stream))
		}
		s.streams[r.Stream] = append(stream, r)
		number, isLock := strings.CutPrefix(r.Stream, "lock/")
		if !isLock {
			continue
		}
		id, err := lock.ParseID(number)
		if err != nil {
			s.complain("I5: %s is no stream of a lock", r.Stream)
			continue
		}
		e, err := lock.UnmarshalEvent(r.Type, r.Data)
		if err != nil {
			s.complain("I5: %s@%d: %v", r.Stream, r.Version, err)
			continue
		}
		if d, ok := e.(*lock.DeviceReported); ok {
			for _, item := range d.Items {
				if item.Seq != reported[id]+1 {
					s.complain("I2: lock %d: the device's event %d follows after %d, and the device sends nothing twice that was acknowledged", id, item.Seq, reported[id])
				}
				reported[id] = item.Seq
			}
			continue
		}
		s.read(id, e)
	}
	return s
}

func (s *story) complain(format string, args ...any) {
	s.bad = append(s.bad, fmt.Sprintf(format, args...))
}

func requestName(id lock.ID, request lock.RequestID) string {
	return id.String() + " " + string(request)
}

func (s *story) read(id lock.ID, e lock.Event) {
	switch e := e.(type) {
	case *lock.TempKeyCreated:
		k := &keyStory{lock: id, limit: e.Key.MaxUses, highest: e.Key.MaxUses}
		if s.keys[e.Key.UUID] != nil {
			s.complain("I1: key %s is created twice", e.Key.UUID)
		}
		s.keys[e.Key.UUID] = k
	case *lock.TempKeyUpdated:
		if k := s.keys[e.TempKeyID]; k != nil && e.Changes.MaxUses != nil {
			k.limit = e.Changes.MaxUses.Limit
			if k.limit == nil || k.highest != nil && *k.limit > *k.highest {
				k.highest = k.limit
			}
		}
	case *lock.TempKeyDeleted:
		if k := s.keys[e.TempKeyID]; k != nil {
			k.deleted = true
		}
	case *lock.TempKeyUsed:
		s.useKey(id, e)
	case *lock.TempKeyUseReturned:
		s.returnUse(id, e)
	case *lock.LockOpenRequested:
		s.request(id, e)
	case *lock.LockOpenSent:
		if c := s.commands[e.CommandID]; c != nil {
			c.deadline, c.outcome = e.Deadline, lock.Sent
		}
	case *lock.LockOpened:
		s.endCommand(e.CommandID, lock.Opened)
	case *lock.LockOpenFailed:
		if e.RequestID == "" {
			s.endCommand(e.CommandID, e.Outcome)
		} else {
			s.withdraw(id, e)
		}
	}
}

// withdraw takes a request out of its command; a command without requests is over.
func (s *story) withdraw(id lock.ID, e *lock.LockOpenFailed) {
	r := s.requests[requestName(id, e.RequestID)]
	if r == nil || r.command == nil || r.command.id != e.CommandID || r.command.outcome != lock.Reserved {
		s.complain("I4: request %s leaves command %s, where it cannot leave", e.RequestID, e.CommandID)
		return
	}
	r.withdrawn = true
	if !slices.ContainsFunc(r.command.requests, func(r *requestStory) bool { return !r.withdrawn }) {
		r.command.outcome = e.Outcome
	}
}

func (s *story) endCommand(id lock.CommandID, o lock.Outcome) {
	c := s.commands[id]
	switch {
	case c == nil:
		s.complain("I4: command %s ends and never began", id)
	case c.outcome != lock.Reserved && c.outcome != lock.Sent && c.outcome != lock.Unknown:
		s.complain("I4: command %s is %s and then %s", id, c.outcome, o)
	default:
		c.outcome = o
	}
}

func (s *story) useKey(id lock.ID, e *lock.TempKeyUsed) {
	k := s.keys[e.TempKeyID]
	if k == nil {
		s.complain("I1: key %s is used and was never created", e.TempKeyID)
		return
	}
	if k.deleted {
		s.complain("I6: key %s is used after it was deleted", e.TempKeyID)
	}
	if e.UsedCount != k.used+1 {
		s.complain("I1: key %s has %d uses after %d", e.TempKeyID, e.UsedCount, k.used)
	}
	k.used = e.UsedCount
	if k.limit != nil && k.used > *k.limit {
		s.complain("I1: key %s has %d uses of %d", e.TempKeyID, k.used, *k.limit)
	}
	name := requestName(id, e.RequestID)
	if s.requests[name] != nil {
		s.complain("I4: request %s uses a key twice", name)
	}
	s.requests[name] = &requestStory{id: e.RequestID, key: e.TempKeyID, used: true}
}

func (s *story) returnUse(id lock.ID, e *lock.TempKeyUseReturned) {
	k, r := s.keys[e.TempKeyID], s.requests[requestName(id, e.RequestID)]
	if k == nil || r == nil || !r.used {
		s.complain("I1: request %s gives back a use of key %s that it never had", e.RequestID, e.TempKeyID)
		return
	}
	if r.returned {
		s.complain("I1: request %s gives its use back twice", e.RequestID)
	}
	if e.UsedCount != k.used-1 {
		s.complain("I1: key %s has %d uses after one of %d came back", e.TempKeyID, e.UsedCount, k.used)
	}
	r.returned, k.used = true, e.UsedCount
	s.returns = append(s.returns, useReturned{lock: id, key: e.TempKeyID, at: e.At})
}

func (s *story) request(id lock.ID, e *lock.LockOpenRequested) {
	name := requestName(id, e.RequestID)
	r := s.requests[name]
	switch {
	case r == nil && e.TempKeyID != "":
		s.complain("I1: request %s opens with key %s without a use", name, e.TempKeyID)
		fallthrough
	case r == nil:
		r = &requestStory{id: e.RequestID, key: e.TempKeyID}
		s.requests[name] = r
	case r.command != nil:
		s.complain("I4: request %s was accepted twice", name)
	}
	c := s.commands[e.CommandID]
	if c == nil {
		c = &commandStory{id: e.CommandID, lock: id, deadline: e.Deadline, outcome: lock.Sent}
		if e.Held {
			c.outcome = lock.Reserved
		}
		s.commands[e.CommandID] = c
	} else if !e.Joined {
		s.complain("I4: command %s began twice", e.CommandID)
	}
	c.requests = append(c.requests, r)
	r.command = c
}
