package lock

import "slices"

// Evolve applies an event to the state, in place. It never fails: what is in the journal has happened.
func Evolve(s *State, e Event) {
	switch e := e.(type) {
	case *DeviceConnected:
		s.Device, s.recalled = e.Device, e.Recalled
		return
	case *DeviceDisconnected:
		s.Device, s.recalled = Device{}, false
		return
	}
	s.Version++
	if s.evolveKeys(e) {
		s.ChangedAt = e.(interface{ EventStamp() Stamp }).EventStamp().At
		return
	}
	switch e := e.(type) {
	case *LockCreated:
		s.ID, s.UUID, s.Index, s.OrgID, s.OwnerID = e.LockID, e.LockUUID, e.Index, e.OrgID, e.OwnerID
		s.SerialNumber, s.VendorName, s.CreatedAt = e.SerialNumber, e.VendorName, e.At
		s.Keys, s.OrgSince = slices.Clone(e.Keys), s.Version
	case *OwnerSet:
		s.OwnerID = e.UserID
	case *OrganizationSet:
		s.OrgID, s.OrgSince = e.NewOrgID, s.Version
	case *ResidentAdded:
		if i := s.resident(e.Resident.UserID); i >= 0 {
			s.Residents[i] = e.Resident // who is changed keeps the place
		} else {
			s.Residents = append(s.Residents, e.Resident)
		}
	case *ResidentRemoved:
		s.Residents = slices.DeleteFunc(s.Residents, func(r Resident) bool { return r.UserID == e.Resident.UserID })
	case *LockUuidChanged:
		s.evolveDevice(e)
	case *ConfigSet:
		s.Config = e.Config
	case *ConfigApplied:
		s.Reported.Config, s.Device.Reported.Config = e.Number, e.Number
	case *DeviceSecretRotated:
		s.evolveSecret(e)
	case *RequestRemembered:
		s.Once.add(&remembered{Key: e.Key, Of: e.Of, Hash: e.Hash, At: e.At, Version: e.Version, Event: e.Event, Command: e.CommandID})
	case *TempKeyCreated:
		k := e.Key
		s.TempKeys.add(&k)
	case *TempKeyUpdated:
		if k := s.TempKeys.find(e.TempKeyID); k != nil {
			s.TempKeys.change(k, e.Changes)
		}
	case *TempKeyDeleted:
		s.TempKeys.remove(e.TempKeyID)
		s.orphan(e.TempKeyID)
	case *TempKeyUsed:
		if k := s.TempKeys.find(e.TempKeyID); k != nil {
			k.UsedCount = e.UsedCount
		}
	case *TempKeyUseReturned:
		if k := s.TempKeys.find(e.TempKeyID); k != nil {
			k.UsedCount = e.UsedCount
		}
		s.Requests.giveBack(e.RequestID, e.CommandID)
	case *LockOpenRequested:
		s.evolveRequest(e)
		if e.PIN {
			s.Panel.right(e.TempKeyID, e.At)
		}
	case *PINWasWrong:
		s.Panel.evolve(e)
	case *LockOpenSent:
		if cmd := s.command(e.CommandID); cmd != nil {
			cmd.Outcome, cmd.Deadline, cmd.Session, cmd.DeadlineEnforced, cmd.SentAt = Sent, e.Deadline, e.Session, e.DeadlineEnforced, e.At
			for _, r := range cmd.Requests {
				r.Outcome, r.Deadline, r.DeadlineEnforced = Sent, e.Deadline, e.DeadlineEnforced
			}
		}
	case *LockOpened:
		s.evolveEnd(e.CommandID, Opened, "", "", e.DeadlineEnforced, true)
		if e.Bolt != "" {
			s.Reported.Bolt, s.Device.Reported.Bolt = e.Bolt, e.Bolt
		}
	case *LockOpenFailed:
		if e.RequestID != "" {
			s.evolveLeave(e)
			break
		}
		s.evolveEnd(e.CommandID, e.Outcome, e.Reason, e.Message, e.DeadlineEnforced, e.Outcome != Unknown || e.Final)
	case *DeviceReported:
		for _, item := range e.Items {
			s.AckSeq = max(s.AckSeq, item.Seq)
			s.Reported.note(item)
			s.Device.Reported.note(item)
		}
	}
	if stamped, ok := e.(interface{ EventStamp() Stamp }); ok {
		s.ChangedAt = stamped.EventStamp().At
	}
}

// evolveSecret puts the new secret first. The ones before live until the end of the grace, and none of them longer than
// it was granted before. Several can live at a time, so that a rotation that is repeated does not lock the device out.
func (s *State) evolveSecret(e *DeviceSecretRotated) {
	secrets := []Secret{{Hash: e.Hash}}
	for _, old := range s.Secrets {
		if old.ValidUntil == nil || e.GraceUntil.Before(*old.ValidUntil) {
			old.ValidUntil = &e.GraceUntil
		}
		if e.At.Before(*old.ValidUntil) && len(secrets) < maxSecretsAtATime {
			secrets = append(secrets, old)
		}
	}
	s.Secrets = secrets
}

// requestOf makes the remembered form of a request.
func requestOf(e *LockOpenRequested, version uint64) *request {
	outcome := Sent
	if e.Held {
		outcome = Reserved
	}
	return &request{
		ID: e.RequestID, CommandID: e.CommandID, TempKeyID: e.TempKeyID, By: e.By, OrgID: e.OrgID, UserID: e.UserID,
		Why: e.Reason, At: e.At, Deadline: e.Deadline, Version: version, Offline: e.Held, Joined: e.Joined, Outcome: outcome,
		DeadlineEnforced: e.DeadlineEnforced,
	}
}

// evolveRequest remembers the request, and starts or joins its command.
func (s *State) evolveRequest(e *LockOpenRequested) {
	r := requestOf(e, s.Version)
	if e.Forgets != 0 {
		s.Requests.forget(e.Forgets)
	}
	s.Requests.add(r)
	cmd := s.command(e.CommandID)
	if cmd == nil {
		cmd = &DeviceCommand{ID: e.CommandID, At: e.At, Deadline: e.Deadline, Outcome: r.Outcome, Session: e.Session, DeadlineEnforced: e.DeadlineEnforced}
		s.Commands = append(s.Commands, cmd)
	}
	cmd.Requests = append(cmd.Requests, r)
}

// orphan marks the requests that are on their way with a deleted key. Their uses are gone with it, and must not come
// back to another key of the same UUID: journals from before a UUID was of one key only may have one.
func (s *State) orphan(id TempKeyID) {
	for _, cmd := range s.Commands {
		for _, r := range cmd.Requests {
			if r.TempKeyID == id {
				r.KeyDeleted = true
			}
		}
	}
}

// evolveEnd gives an outcome to all requests of a command, and forgets the command when the outcome cannot change any more.
func (s *State) evolveEnd(id CommandID, o Outcome, reason, message string, enforced, final bool) {
	cmd := s.command(id)
	if cmd == nil {
		return
	}
	for _, r := range cmd.Requests {
		r.Outcome, r.Reason, r.Message, r.DeadlineEnforced = o, reason, message, enforced
	}
	cmd.Outcome = o
	if final {
		for _, r := range cmd.Requests {
			s.Requests.end(r)
		}
		s.Commands = slices.DeleteFunc(s.Commands, func(c *DeviceCommand) bool { return c.ID == id })
	}
	if len(s.Commands) == 0 {
		s.Commands = nil
	}
}

// evolveLeave takes one request out of a command; a command without requests is over.
func (s *State) evolveLeave(e *LockOpenFailed) {
	cmd := s.command(e.CommandID)
	if cmd == nil {
		return
	}
	cmd.Requests = slices.DeleteFunc(cmd.Requests, func(r *request) bool {
		if r.ID != e.RequestID {
			return false
		}
		r.Outcome, r.Reason, r.Message = e.Outcome, e.Reason, e.Message
		s.Requests.end(r)
		return true
	})
	if len(cmd.Requests) == 0 {
		s.evolveEnd(cmd.ID, e.Outcome, e.Reason, e.Message, e.DeadlineEnforced, true)
	}
}
