package lock

import (
	"bytes"
	"time"
)

func (s *State) once(c *Once, now time.Time) (Decision, error) {
	if !isToken(c.Key) || len(c.Hash) != onceHash {
		return Decision{}, invalid("Idempotency-Key", "idempotency-key-invalid", "Idempotency-Key must have 1 to 128 visible ASCII characters")
	}
	if r := s.Once.find(c, now); r != nil {
		return s.onceMore(c, r, now)
	}
	if r := s.Requests.find(RequestID(c.Key)); r != nil && r.madeBy(c.By) && now.Sub(r.At) < onceKeptFor {
		return Decision{}, s.keyReused(c.By)
	}
	return s.onceAnew(c, now)
}

// madeBy tells whether a caller has made a request to open. Its requestId is a name of that caller, as those of other requests are.
func (r *request) madeBy(c Caller) bool { return r.UserID == c.UserID && r.By == c.Name() }

// keyReused is the refusal of a name that was used for another request: of a lock that the caller does not see any more nothing is told.
func (s *State) keyReused(by Caller) error {
	if err := s.see(by); err != nil {
		return err
	}
	return ErrKeyReused
}

// onceAnew carries a request out, and remembers what to answer when it comes again.
func (s *State) onceAnew(c *Once, now time.Time) (Decision, error) {
	d, err := Decide(s, c.Command, now)
	if err != nil {
		return Decision{}, err
	}
	e := &RequestRemembered{Stamp: s.stampBy(c.By, now), Key: c.Key, Of: c.By.Scope(), Hash: c.Hash}
	for _, event := range d.Events {
		if created, ok := event.(*LockCreated); ok {
			e.LockUUID, e.OrgID = created.LockUUID, created.OrgID
		}
	}
	events := d.Events
	d.Events = append(events, e)
	itself := s.Version + count(d.Events)
	switch reply := d.Reply.(type) {
	case *Done:
		e.Version, e.Event = reply.Version, s.versionOf(reply.Event, events)
	case *KeyResult:
		switch {
		case reply.Outcome == Sent:
			e.CommandID = reply.CommandID
		case reply.Event != nil:
			e.Version, e.Event = reply.Version, s.versionOf(reply.Event, events)
		default:
			e.Version, e.Event, e.OnDevice = reply.Version, itself, reply.Key.OnDevice
		}
	case *TempKeysDone:
		e.Version, e.Event = itself, itself
		for i, item := range reply.Items {
			e.Items = append(e.Items, RememberedItem{tempKeyIn(c.Command, i), item.Version, item.Event != nil, item.Err})
		}
	}
	return d, nil
}

// tempKeyIn is the UUID of one of the keys that a command names.
func tempKeyIn(c Command, i int) TempKeyID {
	switch c := c.(type) {
	case *CreateTempKeys:
		return c.Keys[i].UUID
	case *UpdateTempKeys:
		return c.Updates[i].TempKeyID
	}
	return ""
}

// versionOf is that of an event among those that are about to happen; 0: there is none.
func (s *State) versionOf(e Event, events []Event) uint64 {
	for i, event := range events {
		if event == e {
			return s.Version + count(events[:i+1])
		}
	}
	return 0
}

// onceMore answers a request that was carried out before. What hands the lock on is answered to whoever has made it, who need not see the
// lock since: the answer says nothing that they were not told then.
func (s *State) onceMore(c *Once, r *remembered, now time.Time) (Decision, error) {
	if !bytes.Equal(r.Hash, c.Hash) {
		return Decision{}, s.keyReused(c.By)
	}
	switch c.Command.(type) {
	case *SetOwner, *SetOrganization:
	default:
		if err := s.see(c.By); err != nil {
			return Decision{}, err
		}
	}
	if r.Version == 0 {
		if cmd := s.keyCommand(r.Command); cmd != nil && cmd.Outcome == Sent {
			return Decision{Reply: s.keyResult(cmd)}, nil // it waits with the first
		}
		return s.onceAnew(c, now) // the device has refused, or nobody knows: then it may be told again
	}
	d := Decision{Reply: &Done{Version: r.Version, Replayed: true, EventVersion: r.Event}}
	// Whoever repeats a revocation waits as long as the one who made it.
	switch c := c.Command.(type) {
	case *DeleteTempKey:
		s.waitOut(&d, &TempKey{UUID: c.TempKeyID}, now)
	case *UpdateTempKey:
		s.waitOutUpdate(&d, c.TempKeyID, now)
	case *UpdateTempKeys:
		for _, u := range c.Updates {
			s.waitOutUpdate(&d, u.TempKeyID, now)
		}
	}
	return d, nil
}

func (s *State) waitOutUpdate(d *Decision, id TempKeyID, now time.Time) {
	k := s.TempKeys.find(id)
	if k == nil {
		k = &TempKey{UUID: id}
	}
	s.waitOut(d, k, now)
}

// Recalled is the reply to a request that was carried out before, from what was remembered of it: a Done with its Event, which is the
// one that Done.EventVersion names.
func Recalled(done *Done) Reply {
	switch e := done.Event.(type) {
	case *KeyAdded:
		return &KeyResult{Version: done.Version, CommandID: e.CommandID, Action: ActionAddKey, Key: e.Key, Event: e, Outcome: Confirmed}
	case *KeyRemoved:
		return &KeyResult{Version: done.Version, CommandID: e.CommandID, Action: ActionRemoveKey, Key: e.Key, Event: e, Outcome: Confirmed}
	case *KeyWriteRequested:
		key := e.Key
		key.OnDevice = OnDevice
		return &KeyResult{Version: done.Version, CommandID: e.CommandID, Action: ActionWriteKey, Key: key, Event: e, Outcome: Confirmed}
	case *RequestRemembered:
		if e.Items == nil {
			return &KeyResult{Version: done.Version, Key: Key{OnDevice: e.OnDevice}, Outcome: Confirmed}
		}
		all := new(TempKeysDone)
		for _, item := range e.Items {
			one := TempKeyDone{TempKeyID: item.TempKeyID, Version: item.Version, Err: item.Err}
			if item.Changed {
				one.Event = e
			}
			all.Items = append(all.Items, one)
		}
		return all
	}
	return done
}
