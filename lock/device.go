package lock

import (
	"strconv"
	"time"
)

func (s *State) connectDevice(device Device, recalled bool, now time.Time) (Decision, error) {
	if s.saidBefore(&device) {
		return s.unchanged()
	}
	var d Decision
	device.Connected = true
	device.Firmware = clip(device.Firmware, maxDeviceText)
	device.Reported.Bolt, device.Reported.Door = clip(device.Reported.Bolt, maxDeviceText), clip(device.Reported.Door, maxDeviceText)
	d.Events = append(d.Events, &DeviceConnected{Stamp: s.stamp("", now), Device: device, Recalled: recalled})
	if s.Device.Connected && s.Device.Session != device.Session {
		d.Effects = append(d.Effects, &CloseSession{Session: s.Device.Session, Cause: CauseReplaced})
	}
	for _, cmd := range s.Commands {
		if until := cmd.until(); cmd.Outcome == Reserved && now.Before(until) {
			if latest := deadline(now, MaxLifetime); latest.Before(until) {
				until = latest
			}
			d.Events = append(d.Events,
				&LockOpenSent{
					Stamp: s.stamp("", now), CommandID: cmd.ID, Deadline: until, Session: device.Session, DeadlineEnforced: device.Deadline,
					OpenFor: openFor(cmd.Requests...),
				})
			d.Effects = append(d.Effects, device.sendOpen(cmd.ID, s.Version+count(d.Events), until))
		}
	}
	s.giveUpKeys(&d, &device, now)
	unresolved := s.unresolved(&device)
	d.ask(device.Session, unresolved)
	// The epoch is that of the state which the Hello has met: what is sent to it here has later ones, and the device hears of them after this.
	d.Reply = &Greeting{Epoch: s.Version, AckSeq: s.AckSeq, Resolve: unresolved, Desired: s.desired(&device)}
	return d, nil
}

// saidBefore tells a Hello that was under way for longer than that of the live session, which the device has said after it: within a boot
// its clock says which. Of a device without a clock that is worth anything the last one to arrive counts.
func (s *State) saidBefore(device *Device) bool {
	live := &s.Device
	return live.Connected && live.Session != device.Session && live.BootID == device.BootID && device.Deadline && device.HelloMono < live.HelloMono
}

// unresolved are the commands that went out on older sessions, and of which the device's journal may know the end.
func (s *State) unresolved(device *Device) (ids []CommandID) {
	for _, cmd := range s.Commands {
		if cmd.Outcome != Reserved && device.Journal && cmd.Session != device.Session {
			ids = append(ids, cmd.ID)
		}
	}
	for _, cmd := range s.keys().Commands {
		if device.Journal && cmd.Session != device.Session {
			ids = append(ids, cmd.ID)
		}
	}
	return ids
}

func (d *Decision) ask(session Session, ids []CommandID) {
	if len(ids) > 0 {
		d.Effects = append(d.Effects, &AskStatus{Session: session, CommandIDs: ids})
	}
}

// keepDevice hears from a session that it still lives. If it is the lock's, there may be a newer reading of its clock, and
// commands that it was asked about in vain. If not, it has told of itself after another one: that was seen to connect, so it is the
// newer one, or it has only told of itself too, and nobody here has seen which of the two came last.
func (s *State) keepDevice(c *KeepDevice, now time.Time) (Decision, error) {
	d := Decision{Reply: &Done{Version: s.Version}}
	sameBoot := s.Device.BootID == c.Device.BootID
	switch {
	case s.gaveUp(c.Device.Session):
		// It was to end when a command was not answered, and the word of that got lost. Only another session can tell about the command.
		d.Effects = append(d.Effects, &CloseSession{Session: c.Device.Session, Cause: CauseMissedDeadline})
	case !s.Device.Connected, s.Device.Session != c.Device.Session && s.recalled && sameBoot && s.Device.HelloMono < c.Device.HelloMono:
		d, err := s.connectDevice(c.Device, true, now)
		s.remind(&d, &c.Device)
		d.Reply = &Done{Version: s.Version + count(d.Events)}
		return d, err
	case s.Device.Session == c.Device.Session:
		device := s.Device
		device.Clock = c.Device.Clock
		d.Events = append(d.Events, &DeviceConnected{Stamp: s.stamp("", now), Device: device, Recalled: s.recalled})
		d.ask(device.Session, s.unresolved(&device))
		s.remind(&d, &c.Device)
	case s.recalled && !sameBoot:
		d.Effects = append(d.Effects, &CloseSession{Session: c.Device.Session, Cause: CauseUnsure})
	default:
		d.Effects = append(d.Effects, &CloseSession{Session: c.Device.Session, Cause: CauseReplaced})
	}
	return d, nil
}

// gaveUp tells whether a command was not answered in time that went out on a session, so that nobody knows its end.
func (s *State) gaveUp(session Session) bool {
	for _, cmd := range s.Commands {
		if cmd.Outcome == Unknown && cmd.Session == session {
			return true
		}
	}
	for _, cmd := range s.keys().Commands {
		if cmd.Outcome == Unknown && cmd.Session == session {
			return true
		}
	}
	return false
}

func (s *State) disconnectDevice(c *DisconnectDevice, now time.Time) (Decision, error) {
	if !s.current(c.Session) {
		return s.unchanged()
	}
	return Decision{
		Events: []Event{&DeviceDisconnected{Stamp: s.stamp("", now), Session: c.Session}},
		Reply:  &Done{Version: s.Version},
	}, nil
}

func (s *State) current(session Session) bool {
	return s.Device.Connected && s.Device.Session == session
}

// answerOpen takes the device's word for its own motor, whichever session it comes by and however late.
func (s *State) answerOpen(c *AnswerOpen, now time.Time) (Decision, error) {
	cmd := s.command(c.CommandID)
	if cmd == nil || cmd.Outcome == Reserved {
		return s.unchanged()
	}
	d := Decision{Reply: &Done{Version: s.Version}}
	message := clip(c.Message, maxDeviceText)
	switch {
	case c.Opened:
		d.Events = append(d.Events, s.opened(cmd, clip(c.Bolt, maxDeviceText), now))
	case c.Executed == NotExecuted && c.Code == "Expired":
		s.end(&d, s.failed(cmd, Expired, "deadline-passed", message, false, now), cmd, now)
	case c.Executed == NotExecuted:
		s.end(&d, s.failed(cmd, Refused, reasonOf(c.Code), message, false, now), cmd, now)
	default:
		// The motor moved, or the device cannot tell: nobody will ever know more.
		s.end(&d, s.failed(cmd, Unknown, reasonOf(c.Code), message, true, now), cmd, now)
	}
	return d, nil
}

func (s *State) opened(cmd *DeviceCommand, bolt string, now time.Time) *LockOpened {
	return &LockOpened{
		Stamp: s.stamp("", now), CommandID: cmd.ID, Bolt: bolt,
		DeadlineEnforced: cmd.DeadlineEnforced, Resolved: cmd.Outcome == Unknown, OpenFor: openFor(cmd.Requests...),
	}
}

// reasonOf turns an error code of the protocol into a stable word.
func reasonOf(code string) string {
	switch code {
	case "Jammed":
		return "jammed"
	case "LowBattery":
		return "low-battery"
	case "Busy":
		return "device-busy"
	case "StaleSession":
		return "stale-session"
	case "StaleEpoch":
		return "stale-epoch"
	case "BootMismatch":
		return "boot-mismatch"
	case "Unsupported":
		return "unsupported"
	case "NoSpace":
		return "no-space"
	case "Expired":
		return "deadline-passed"
	default:
		return "device-error"
	}
}

// answerStatus resolves commands by what the device's own journal says. "not-seen" proves that a command never moved
// the motor, and never will, when the device keeps a journal and the command went out on an older session, whose frames
// the device refuses. On the same session it proves nothing: the question may have overtaken the command.
func (s *State) answerStatus(c *AnswerStatus, now time.Time) (Decision, error) {
	if !s.current(c.Session) {
		return s.unchanged()
	}
	d := Decision{Reply: &Done{Version: s.Version}}
	for _, cmd := range s.Commands {
		status, told := c.Statuses[cmd.ID]
		if !told || cmd.Outcome == Reserved {
			continue
		}
		switch status {
		case CommandExecuted:
			d.Events = append(d.Events, s.opened(cmd, "", now))
		case CommandMoved:
			s.end(&d, s.failed(cmd, Unknown, "moved", "The motor moved, but the lock reports an error. It may be open.", true, now), cmd, now)
		case CommandRefused:
			s.end(&d, s.failed(cmd, Refused, "device-refused", "The lock refused to open.", false, now), cmd, now)
		case CommandNotSeen:
			if s.Device.Journal && cmd.Session != s.Device.Session {
				s.end(&d, s.failed(cmd, Expired, "not-seen", "The lock never received the command.", false, now), cmd, now)
			}
		case CommandJournalLost:
			s.end(&d, s.failed(cmd, Unknown, "journal-lost", "The lock lost its memory of the command. It may have opened.", true, now), cmd, now)
		}
	}
	s.keyStatuses(&d, c.Statuses, now)
	return d, nil
}

// reportEvents stores what is new, and acknowledges everything up to there once it is durable. A number that is too far
// ahead is wrong: if it counted, all that the device says after it would be taken for known, for ever. And if some of what a
// session handed over got lost on the way, the rest is not taken: the device would be told to forget what nobody has. It has to
// come back and say it all again.
func (s *State) reportEvents(c *ReportEvents, now time.Time) (Decision, error) {
	if !s.current(c.Session) {
		return s.unchanged()
	}
	if c.After > s.AckSeq && c.After-s.AckSeq <= maxSeqAhead {
		return Decision{
			Effects: []Effect{&CloseSession{Session: c.Session, Cause: CauseUnsure}}, Reply: &Done{Version: s.Version},
		}, nil
	}
	if len(c.Items) > maxReported {
		return Decision{}, invalid("items", "too-many-events", "one frame may carry up to 100 events")
	}
	last, fresh := s.AckSeq, []DeviceEvent(nil)
	for _, item := range c.Items {
		if item.Seq > last && item.Seq-s.AckSeq <= maxSeqAhead {
			item.Type, item.Value = clip(item.Type, maxDeviceText), clip(item.Value, maxDeviceText)
			last, fresh = item.Seq, append(fresh, item)
		}
	}
	d := Decision{Reply: &Done{Version: s.Version}}
	if len(fresh) > 0 {
		d.Events = append(d.Events, &DeviceReported{Stamp: s.stamp("", now), Items: fresh})
	}
	d.Effects = append(d.Effects, &AckEvents{Session: c.Session, CallID: c.CallID, AckSeq: last})
	return d, nil
}

// note takes over what an event of the device tells.
func (r *Reported) note(e DeviceEvent) {
	switch e.Type {
	case "bolt":
		r.Bolt = e.Value
	case "door":
		r.Door = e.Value
	case "battery":
		if n, err := strconv.Atoi(e.Value); err == nil && 0 <= n && n <= 100 {
			r.Battery = n
		}
	case "config":
		// Erased flash reads as the largest number of all. What no configuration can have was not reported.
		if n, err := strconv.ParseUint(e.Value, 10, 64); err == nil && n <= uint64(MaxID) {
			r.Config = n
		}
	}
}
