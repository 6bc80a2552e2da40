package lock

import (
	"slices"
	"time"
)

// evolveKeys applies the events about permanent keys. It reports false for every other event.
func (s *State) evolveKeys(e Event) bool {
	switch e := e.(type) {
	case *KeyAdded:
		s.putKey(e.Key)
		s.endKey(e.CommandID, e.Key.UUID, e.At)
		s.settle(e.Job, bulkResultOf(e), e.At)
	case *KeyRemoved:
		s.Keys = slices.DeleteFunc(s.Keys, func(k Key) bool { return k.UUID == e.Key.UUID })
		s.endKey(e.CommandID, e.Key.UUID, e.At)
	case *KeyWritten:
		s.markKey(e.Key.UUID, OnDevice)
		s.endKey(e.CommandID, e.Key.UUID, e.At)
	case *KeyWriteRequested:
		s.startKey(keyCommandOf(e, s.Version))
	case *KeyChangeRequested:
		s.startKey(keyCommandOf(e, s.Version))
	case *KeyChangeFailed:
		s.evolveKeyFailed(e)
	case *BulkAddStarted:
		s.startJob(e)
	case *BulkKeySettled:
		s.settle(e.Job, bulkResult{Status: e.Status, Reason: e.Reason}, e.At)
	case *BulkAddEnded:
		s.endJob(e)
	default:
		return false
	}
	if j := s.activeJob(); j != nil {
		// What it may have waited for may have come.
		j.LastAt = e.(interface{ EventStamp() Stamp }).EventStamp().At
	}
	return true
}

// keyWork is what there is to do, made if there is none yet.
func (s *State) keyWork() *keyWork {
	if s.KeyWork == nil {
		s.KeyWork = new(keyWork)
	}
	return s.KeyWork
}

// putKey adds a key to the list, in the place of one with its UUID.
func (s *State) putKey(k Key) {
	if i := slices.IndexFunc(s.Keys, func(o Key) bool { return o.UUID == k.UUID }); i >= 0 {
		s.Keys[i] = k
		return
	}
	s.Keys = append(s.Keys, k)
}

func (s *State) markKey(uuid string, p Presence) {
	if i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.UUID == uuid }); i >= 0 {
		s.Keys[i].OnDevice = p
	}
}

func (s *State) startKey(c *KeyCommand) {
	w := s.keyWork()
	w.Told = true
	w.Commands = append(w.Commands, c)
	s.jobTold(c.Job, c.At)
}

// endKey ends a command that the device has obeyed. What is known of its key by now is newer than what older commands
// about it could still tell.
func (s *State) endKey(id CommandID, uuid string, at time.Time) {
	cmd := s.keyCommand(id)
	if cmd == nil {
		return
	}
	started, event := cmd.Version, s.Version
	if cmd.Action == ActionWriteKey {
		event = started // the answer has the event that asked for it
	} else {
		cmd.At = at
	}
	s.Once.confirmed(id, s.Version, event)
	cmd.Version = s.Version
	if cmd.Action != ActionRemoveKey {
		cmd.Key.OnDevice = OnDevice
	}
	s.forgetKey(cmd, Confirmed, "", "")
	for _, old := range slices.Clone(s.KeyWork.Commands) {
		if old.Key.UUID == uuid && old.Version < started {
			s.forgetKey(old, Unknown, "superseded", "A later change of the same key came before its answer.")
		}
	}
}

func (s *State) evolveKeyFailed(e *KeyChangeFailed) {
	if e.Outcome == Unknown {
		s.markKey(e.Key.UUID, MaybeOnDevice)
	}
	cmd := s.keyCommand(e.CommandID)
	switch {
	case cmd == nil:
	case e.Outcome == Unknown && !e.Final:
		cmd.Outcome, cmd.Reason, cmd.Message = e.Outcome, e.Reason, e.Message
	default:
		s.forgetKey(cmd, e.Outcome, e.Reason, e.Message)
	}
	if e.Outcome == Refused || e.Outcome == Expired {
		s.jobFailed(e)
	}
}

// forgetKey moves a command to those that have ended.
func (s *State) forgetKey(cmd *KeyCommand, o Outcome, reason, message string) {
	w := s.keyWork()
	cmd.Outcome, cmd.Reason, cmd.Message = o, reason, message
	w.Commands = slices.DeleteFunc(w.Commands, func(c *KeyCommand) bool { return c == cmd })
	w.Ended = append(w.Ended, cmd)
	if extra := len(w.Ended) - keyResultsKept; extra > 0 {
		w.Ended = slices.Delete(w.Ended, 0, extra)
	}
	if len(w.Commands) == 0 {
		w.Commands = nil
	}
}

// forgetDevice is for a lock that gets another device: nothing that was in the old one is in the new one.
func (s *State) forgetDevice() {
	for i := range s.Keys {
		s.Keys[i].OnDevice = ""
	}
	if s.KeyWork == nil {
		return
	}
	for _, cmd := range slices.Clone(s.KeyWork.Commands) {
		s.forgetKey(cmd, Unknown, "device-replaced", "The lock got another device.")
	}
	s.KeyWork.Told = false
}
