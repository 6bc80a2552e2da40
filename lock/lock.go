// Package lock is the kernel: every rule about a lock, its temporary keys and its opens, and nothing else.
//
// A command is decided against the state of one lock and yields events, effects and a reply. The shell makes the
// events durable, evolves the state, carries out the effects and gives the reply, in that order. The kernel reads no
// clock, no socket and no random source: the time and every ID come with the command, so that replaying the events of a
// stream gives the state that ran live.
package lock

import (
	"fmt"
	"time"
)

// The bounds that hold for every lock.
const (
	MaxLifetime = 15 * time.Second // of a command on its way to the device
	MaxHold     = 60 * time.Second // of an open that waits for the device to come back

	answerGrace = time.Second            // how long after the deadline an answer may still arrive
	driftMargin = 250 * time.Millisecond // what a device's clock may be behind at a deadline

	maxCommands       = 64      // on their way or unresolved
	maxRequests       = 2048    // of all these commands, so that whatever ends them fits into one append
	maxTempKeys       = 10_000  // of one lock
	maxTempKeyText    = 8 << 20 // bytes of what callers say of all of these, since lists and snapshots have all of it
	maxUsers          = 1000    // on the whitelist of a key
	maxKeys           = 10_000  // permanent keys of one lock
	maxKeyText        = 4 << 20 // bytes of the names in all of these
	maxResidents      = 1000
	maxReported       = 100       // events of a device in one frame
	maxSeqAhead       = 1_000_000 // events that a device may have lost in a row, in decades
	maxText           = 800       // bytes of names and serial numbers
	maxToken          = 128       // of request IDs
	maxDeviceText     = 500       // bytes of what a device says
	maxDescription    = 2000
	maxReason         = 500
	maxSecretGrace    = 7 * 24 * time.Hour
	secretHashBytes   = 32
	maxSecretsAtATime = 8
)

// Decide says what a command leads to. It does not change the state. An error is a rejection, of type *Error.
func Decide(s *State, c Command, now time.Time) (Decision, error) {
	if once, ok := c.(*Once); ok {
		return s.once(once, now)
	}
	if create, ok := c.(*CreateLock); ok {
		return s.createLock(create, now)
	}
	if !s.Exists() {
		return s.decideAbsent(c)
	}
	switch c := c.(type) {
	case *SetOwner:
		return s.setOwner(c, now)
	case *SetOrganization:
		return s.setOrganization(c, now)
	case *AddKey:
		return s.addKey(c, now)
	case *RemoveKey:
		return s.removeKey(c, now)
	case *WriteKey:
		return s.writeKey(c, now)
	case *BulkAddKeys:
		return s.bulkAddKeys(c, now)
	case *GetBulkAddKeys:
		return s.getBulkAddKeys(c)
	case *ChangeLockUUID:
		return s.changeUUID(c, now)
	case *SetConfig:
		return s.setConfig(c, now)
	case *UseTempKey:
		return s.useTempKey(c, now)
	case *AddResident:
		return s.addResident(c, now)
	case *RemoveResident:
		return s.removeResident(c, now)
	case *RotateDeviceSecret:
		return s.rotateDeviceSecret(c, now)
	case *CreateTempKey:
		return s.createTempKey(c, now)
	case *UpdateTempKey:
		return s.updateTempKey(c, now)
	case *CreateTempKeys:
		return s.createTempKeys(c, now)
	case *UpdateTempKeys:
		return s.updateTempKeys(c, now)
	case *DeleteTempKey:
		return s.deleteTempKey(c, now)
	case *OpenLock:
		return s.openLock(c, now)
	case *OpenWithTempKey:
		return s.openWithTempKey(c, now)
	case *OpenWithPIN:
		return s.openWithPIN(c, now)
	case *GetLock:
		return s.getLock(c)
	case *GetTempKey:
		return s.getTempKey(c, now)
	case *ListTempKeys:
		return s.listTempKeys(c, now)
	case *AuthenticateDevice:
		return s.authenticateDevice(c, now)
	case *ConnectDevice:
		return s.connectDevice(c.Device, false, now)
	case *KeepDevice:
		return s.keepDevice(c, now)
	case *DisconnectDevice:
		return s.disconnectDevice(c, now)
	case *AnswerOpen:
		return s.answerOpen(c, now)
	case *AnswerKey:
		return s.answerKey(c, now)
	case *AnswerConfig:
		return s.answerConfig(c, now)
	case *AnswerStatus:
		return s.answerStatus(c, now)
	case *ReportEvents:
		return s.reportEvents(c, now)
	case *Tick:
		return s.tick(now)
	default:
		return Decision{}, invalid("", "command-unknown", fmt.Sprintf("the lock does not know the command %T", c))
	}
}

// decideAbsent answers for a lock that was never created, without telling a device's lock from a platform's.
func (s *State) decideAbsent(c Command) (Decision, error) {
	switch c.(type) {
	case *AuthenticateDevice:
		return Decision{}, badCredentials()
	case *GetTempKey, *OpenWithTempKey:
		return Decision{}, noTempKey()
	case *OpenWithPIN:
		return Decision{Reply: &PINRefused{}}, nil
	case *Tick, *KeepDevice, *DisconnectDevice, *AnswerOpen, *AnswerKey, *AnswerConfig, *AnswerStatus, *ReportEvents:
		return Decision{Reply: &Done{}}, nil
	default:
		return Decision{}, noLock()
	}
}

// NextDeadline is when the next Tick is due; ok is false when nothing waits for time to pass.
func NextDeadline(s *State) (t time.Time, ok bool) {
	earliest := func(d time.Time, due bool) {
		if due && (!ok || d.Before(t)) {
			t, ok = d, true
		}
	}
	for _, c := range s.Commands {
		earliest(c.due())
	}
	if s.KeyWork != nil {
		for _, c := range s.KeyWork.Commands {
			earliest(c.due())
		}
		earliest(s.bulkDue())
	}
	return t, ok
}

func (s *State) stamp(by string, now time.Time) Stamp {
	return Stamp{At: millis(now), LockUUID: s.UUID, OrgID: s.OrgID, By: by}
}

// stampBy is the stamp of what a caller wanted, with all that the audit asks for: who, when, and from where.
func (s *State) stampBy(by Caller, now time.Time) Stamp {
	stamp := s.stamp("", now)
	stamp.By, stamp.ByUser = by.Name(), by.UserID != ""
	if !by.usesKeyOfOthers(s.OrgID) {
		stamp.Via, stamp.From = by.Key, by.Addr
	}
	return stamp
}

// usesKeyOfOthers tells whether a user has come with the API key of another organisation than the lock's. It gives no right to the lock, and
// the record would not say whose it is: so neither the key nor the address is kept, which are not for the lock's organisation.
func (c Caller) usesKeyOfOthers(org OrgID) bool {
	return c.UserID != "" && c.OrgID != "" && org != "" && c.OrgID != org
}

// done is the decision of a command that made one event.
func (s *State) done(e Event) (Decision, error) {
	return Decision{Events: []Event{e}, Reply: &Done{Version: s.Version + 1, Event: e}}, nil
}

// count is how many of the events raise the version of the stream.
func count(events []Event) (n uint64) {
	for _, e := range events {
		if Journaled(e) {
			n++
		}
	}
	return n
}

// unchanged is the decision of a command that asked for what is already so.
func (s *State) unchanged() (Decision, error) {
	return Decision{Reply: &Done{Version: s.Version}}, nil
}

// millis brings an instant to the form in which it is stored: UTC, milliseconds, further digits cut.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// deadline is now + wait in milliseconds. Unlike millis it keeps the monotonic reading, so that a deadline holds even if
// the wall clock is set; and so it keeps the zone as well, since time.Time gives up both or neither.
func deadline(now time.Time, wait time.Duration) time.Time {
	t := now.Add(wait)
	return t.Add(-time.Duration(t.Nanosecond()) % time.Millisecond)
}

func noLock() *Error {
	return reject(NotFound, "lock-not-found", "There is no such lock, or it belongs to somebody else.")
}

func noTempKey() *Error {
	return reject(NotFound, "temp-key-not-found", "There is no such temporary key, or it was deleted.")
}
