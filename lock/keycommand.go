package lock

import (
	"slices"
	"time"
)

// KeyCommand is one command about a permanent key on its way to the device, or what became of it.
type KeyCommand struct {
	ID     CommandID `json:"id"`
	Action KeyAction `json:"action"`
	Key    Key       `json:"key"`
	Job    JobID     `json:"instanceId,omitempty"` // of BulkAddKeys
	origin
	Version  uint64    `json:"version"` // of the event that started it; when it ended well, of the one that says so
	At       time.Time `json:"at"`
	Deadline time.Time `json:"deadline"` // the device does not obey it after that
	Session  Session   `json:"session,omitzero"`
	Outcome  Outcome   `json:"outcome"` // sent or unknown; in the end confirmed, refused, expired or unknown
	Reason   string    `json:"reason,omitempty"`
	Message  string    `json:"message,omitempty"`
}

// origin is who wanted something, and from where, for the events that tell of its end.
type origin struct {
	By     string `json:"by,omitempty"`
	ByUser bool   `json:"byUser,omitempty"`
	Via    string `json:"via,omitempty"`
	From   string `json:"from,omitempty"`
}

func originOf(s Stamp) origin { return origin{By: s.By, ByUser: s.ByUser, Via: s.Via, From: s.From} }

func (s *State) stampOf(o origin, now time.Time) Stamp {
	stamp := s.stamp("", now)
	stamp.By, stamp.ByUser, stamp.Via, stamp.From = o.By, o.ByUser, o.Via, o.From
	return stamp
}

// due is when time alone turns the command into an unknown one.
func (c *KeyCommand) due() (time.Time, bool) { return c.Deadline.Add(answerGrace), c.Outcome == Sent }

func (s *State) keyCommand(id CommandID) *KeyCommand {
	for _, c := range s.keys().Commands {
		if c.ID == id {
			return c
		}
	}
	return nil
}

// joinKey finds a command on its way that is about the same key. The same wish joins it; another one has to wait for its end.
func (s *State) joinKey(action KeyAction, key Key) (Decision, error) {
	cmd := s.onTheWay(key)
	switch {
	case cmd == nil:
		return Decision{}, nil
	case cmd.Action == action && sameKey(cmd.Key, key):
		return Decision{Reply: s.keyResult(cmd)}, nil
	}
	return Decision{}, reject(Busy, "key-busy", "The lock is being told something else about this key. Try again in a few seconds.")
}

// onTheWay finds a command about a key that the device may obey at any moment.
func (s *State) onTheWay(key Key) *KeyCommand {
	for _, c := range s.keys().Commands {
		if c.Outcome == Sent && overlap(c.Key, key) {
			return c
		}
	}
	return nil
}

// tellKey starts a command to the device.
func (s *State) tellKey(action KeyAction, key Key, stamp Stamp, id CommandID, now time.Time) (Decision, error) {
	if !isToken(string(id)) || s.keyCommand(id) != nil || s.command(id) != nil {
		return Decision{}, invalid("", "command-id-invalid", "a command ID must have 1 to 128 visible ASCII characters, and be new")
	}
	var d Decision
	if err := s.makeRoomForKey(&d, now); err != nil {
		return Decision{}, err
	}
	until := deadline(now, keyLifetime)
	order := KeyOrder{CommandID: id, Key: key, Deadline: until, Session: s.Device.Session}
	var e Event = &KeyChangeRequested{Stamp: stamp, Action: action, KeyOrder: order}
	if action == ActionWriteKey {
		e = &KeyWriteRequested{Stamp: stamp, KeyOrder: order}
	}
	s.sendKey(&d, e, action, &order)
	d.Reply = s.keyResult(keyCommandOf(e, s.Version+count(d.Events)))
	return d, nil
}

// sendKey appends the start of a command, and what tells the device.
func (s *State) sendKey(d *Decision, e Event, action KeyAction, o *KeyOrder) {
	d.Events = append(d.Events, e)
	d.Effects = append(d.Effects, &SendKey{
		SendOpen: *s.Device.sendOpen(o.CommandID, s.Version+count(d.Events), o.Deadline), Action: action, Key: o.Key,
	})
}

// makeRoomForKey gives up the oldest unresolved command when there are too many.
func (s *State) makeRoomForKey(d *Decision, now time.Time) error {
	commands := s.keys().Commands
	if len(commands) < maxKeyCommands {
		return nil
	}
	i := slices.IndexFunc(commands, func(c *KeyCommand) bool { return c.Outcome == Unknown })
	if i < 0 {
		return reject(Busy, "too-many-keys-at-once", "Too many keys are on their way to this lock. Try again in a few seconds.")
	}
	s.giveUpKey(d, commands[i], "given-up", "Too many changes of keys without an answer came after it.", now)
	return nil
}

// keyCommandOf makes the remembered form of a command.
func keyCommandOf(e Event, version uint64) *KeyCommand {
	var o KeyOrder
	var stamp Stamp
	action := ActionWriteKey
	switch e := e.(type) {
	case *KeyWriteRequested:
		o, stamp = e.KeyOrder, e.Stamp
	case *KeyChangeRequested:
		o, stamp, action = e.KeyOrder, e.Stamp, e.Action
	}
	return &KeyCommand{
		ID: o.CommandID, Action: action, Key: o.Key, Job: o.Job, origin: originOf(stamp), Version: version, At: stamp.At, Deadline: o.Deadline,
		Session: o.Session, Outcome: Sent,
	}
}

// answerKey takes the device's word for its own table, whichever session it comes by and however late.
func (s *State) answerKey(c *AnswerKey, now time.Time) (Decision, error) {
	cmd := s.keyCommand(c.CommandID)
	if cmd == nil {
		return s.unchanged()
	}
	d := Decision{Reply: &Done{Version: s.Version}}
	message := clip(c.Message, maxDeviceText)
	switch {
	case c.Done:
		s.keyDone(&d, cmd, now)
	case c.Executed == NotExecuted && c.Code == "Expired":
		s.keyFailed(&d, cmd, Expired, "deadline-passed", message, now)
	case c.Executed == NotExecuted:
		s.keyFailed(&d, cmd, Refused, reasonOf(c.Code), message, now)
	default:
		s.giveUpKey(&d, cmd, reasonOf(c.Code), message, now)
	}
	return d, nil
}

// keyDone appends what the device's word leads to: its table is as the command wanted it.
func (s *State) keyDone(d *Decision, cmd *KeyCommand, now time.Time) {
	key := cmd.Key
	key.OnDevice = OnDevice
	stamp := s.stampOf(cmd.origin, now)
	switch cmd.Action {
	case ActionAddKey:
		d.Events = append(d.Events, &KeyAdded{Stamp: stamp, Key: key, CommandID: cmd.ID, Job: cmd.Job})
	case ActionRemoveKey:
		d.Events = append(d.Events, &KeyRemoved{Stamp: stamp, Key: cmd.Key, CommandID: cmd.ID})
	case ActionWriteKey:
		d.Events = append(d.Events, &KeyWritten{Stamp: stamp, Key: key, CommandID: cmd.ID})
	}
}

// keyFailed appends an end, or that no answer came: then the device is asked when it is back.
func (s *State) keyFailed(d *Decision, cmd *KeyCommand, o Outcome, reason, message string, now time.Time) {
	d.Events = append(d.Events, &KeyChangeFailed{
		Stamp: s.stamp("", now), CommandID: cmd.ID, Action: cmd.Action, Key: cmd.Key, Job: cmd.Job, Outcome: o, Reason: reason, Message: message,
	})
}

// giveUpKey appends that nobody will ever know. A key that may be in the device belongs into the list.
func (s *State) giveUpKey(d *Decision, cmd *KeyCommand, reason, message string, now time.Time) {
	s.keyFailed(d, cmd, Unknown, reason, message, now)
	d.Events[len(d.Events)-1].(*KeyChangeFailed).Final = true
	if cmd.Action == ActionAddKey && !slices.ContainsFunc(s.Keys, func(k Key) bool { return overlap(k, cmd.Key) }) {
		key := cmd.Key
		key.OnDevice = MaybeOnDevice
		d.Events = append(d.Events, &KeyAdded{Stamp: s.stampOf(cmd.origin, now), Key: key, Job: cmd.Job})
	}
}

// keyStatuses resolves commands by what the device's own journal says, as it does with opens.
func (s *State) keyStatuses(d *Decision, statuses map[CommandID]CommandStatus, now time.Time) {
	for _, cmd := range s.keys().Commands {
		switch statuses[cmd.ID] {
		case CommandExecuted:
			s.keyDone(d, cmd, now)
		case CommandMoved:
			s.giveUpKey(d, cmd, "moved", "The lock reports an error. It may have obeyed.", now)
		case CommandRefused:
			s.keyFailed(d, cmd, Refused, "device-refused", "The lock refused.", now)
		case CommandNotSeen:
			if s.Device.Journal && cmd.Session != s.Device.Session {
				s.keyFailed(d, cmd, Expired, "not-seen", "The lock never received the command.", now)
			}
		case CommandJournalLost:
			s.giveUpKey(d, cmd, "journal-lost", "The lock lost its memory of the command.", now)
		}
	}
}

// keyTimeOuts calls the commands unknown whose answer is overdue. It reports whether the live session has missed one.
func (s *State) keyTimeOuts(d *Decision, now time.Time) (missed bool) {
	for _, cmd := range s.keys().Commands {
		if due, ok := cmd.due(); ok && !now.Before(due) {
			s.keyFailed(d, cmd, Unknown, "no-answer", "The lock did not answer in time. It may have obeyed.", now)
			missed = missed || s.current(cmd.Session)
		}
	}
	return missed
}

// giveUpKeys is for a device that connects without a journal: nobody can ask it about what went out on older sessions.
func (s *State) giveUpKeys(d *Decision, device *Device, now time.Time) {
	for _, cmd := range s.keys().Commands {
		if !device.Journal && cmd.Session != device.Session {
			s.giveUpKey(d, cmd, "no-answer", "The lock came back without an answer, and keeps no journal to ask.", now)
		}
	}
}

// KeyResult tells what became of a command about a key; ok is false when it is not remembered.
func (s *State) KeyResult(id CommandID) (result *KeyResult, ok bool) {
	work := s.keys()
	for _, list := range [][]*KeyCommand{work.Commands, work.Ended} {
		for _, cmd := range list {
			if cmd.ID == id {
				return s.keyResult(cmd), true
			}
		}
	}
	return nil, false
}

func (s *State) keyResult(cmd *KeyCommand) *KeyResult {
	r := &KeyResult{
		Version: cmd.Version, CommandID: cmd.ID, Action: cmd.Action, Key: cmd.Key, Outcome: cmd.Outcome, Reason: cmd.Reason,
		Message: cmd.Message, Deadline: cmd.Deadline,
	}
	stamp := Stamp{At: cmd.At, LockUUID: s.UUID, OrgID: s.OrgID, By: cmd.By, ByUser: cmd.ByUser, Via: cmd.Via, From: cmd.From}
	switch {
	case cmd.Action == ActionWriteKey:
		r.Event = &KeyWriteRequested{Stamp: stamp, KeyOrder: KeyOrder{CommandID: cmd.ID, Key: cmd.Key, Deadline: cmd.Deadline, Session: cmd.Session}}
	case cmd.Outcome != Confirmed:
	case cmd.Action == ActionAddKey:
		r.Event = &KeyAdded{Stamp: stamp, Key: cmd.Key, CommandID: cmd.ID, Job: cmd.Job}
	case cmd.Action == ActionRemoveKey:
		r.Event = &KeyRemoved{Stamp: stamp, Key: cmd.Key, CommandID: cmd.ID}
	}
	return r
}
