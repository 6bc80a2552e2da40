package lock

import "time"

// changeUUID gives the lock another device. The old one may not come back: its session ends, its secrets are worth nothing any
// more, and what it was told of keys is forgotten. Its UUID stays claimed by this lock, so that it never becomes another's.
func (s *State) changeUUID(c *ChangeLockUUID, now time.Time) (Decision, error) {
	if !c.By.Super {
		return Decision{}, reject(Forbidden, "super-key-required", "Giving a lock another device takes the operator's super key.")
	}
	if err := c.By.check(); err != nil {
		return Decision{}, err
	}
	uuid, err := ParseUUID(string(c.NewUUID))
	if err != nil {
		return Decision{}, invalid("newUuid", "uuid-invalid", "newUuid must be a UUID such as 6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b")
	}
	if uuid == s.UUID {
		return s.unchanged()
	}
	if err := checkNew(string(uuid), "newUuid", "uuid-invalid"); err != nil {
		return Decision{}, err
	}
	// What may be on the wire ends by the word of the old device, or by its deadline. The new one knows nothing of it, and its
	// "not seen" would be no proof.
	for _, cmd := range s.Commands {
		if cmd.Outcome == Sent {
			return Decision{}, underWay()
		}
	}
	for _, cmd := range s.keys().Commands {
		if cmd.Outcome == Sent {
			return Decision{}, underWay()
		}
	}
	stamp := s.stampBy(c.By, now)
	var d Decision
	for _, cmd := range s.Commands {
		if cmd.Outcome == Unknown {
			e := s.failed(cmd, Unknown, "device-replaced", "The lock got another device before anybody could ask.", true, now)
			e.Resolved = false
			d.Events = append(d.Events, e)
		}
	}
	if s.Device.Connected {
		session := s.Device.Session
		d.Events = append(d.Events, &DeviceDisconnected{Stamp: stamp, Session: session})
		d.Effects = append(d.Effects, &CloseSession{Session: session, Cause: CauseCredentials})
	}
	stamp.LockUUID = uuid
	e := &LockUuidChanged{Stamp: stamp, NewUUID: uuid, PreviousUUID: s.UUID}
	d.Events = append(d.Events, e)
	d.Reply = &Done{Version: s.Version + count(d.Events), Event: e}
	return d, nil
}

func underWay() *Error {
	return reject(Busy, "commands-under-way", "The lock's device has been told something and has not answered. Try again in a few seconds.")
}

// evolveDevice replaces the device. What the old one reported is not true of the new one.
func (s *State) evolveDevice(e *LockUuidChanged) {
	s.UUID, s.Secrets = e.NewUUID, nil
	s.AckSeq, s.Reported = 0, Reported{}
	s.forgetDevice()
}
