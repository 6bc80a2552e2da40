package lock

import (
	"errors"
	"time"
)

// ReasonTempKeyTaken is the reason of the rejection of a key whose UUID is, or was, another key: of another lock, or a deleted one of
// this lock. The state does not know of either, the journal does.
const ReasonTempKeyTaken = "temp-key-uuid-taken"

// ErrTempKeyTwice is the rejection of each but the first part of a call that names the same key.
var ErrTempKeyTwice = invalid("tempKeyUuid", "temp-key-twice", "the call names this temporary key twice; the first one counts")

// MaxTempKeysAtOnce is how many temporary keys one command may create or change.
const MaxTempKeysAtOnce = 500

// The commands for many temporary keys of one lock. Each key is decided for itself, as if it came alone; what is accepted is
// one append, so that it costs one. Each of the keys may be named once.
type (
	// CreateTempKeys creates several temporary keys. Reply: *TempKeysDone. By counts, and not that of each key.
	CreateTempKeys struct {
		By   Caller
		Keys []CreateTempKey
	}
	// UpdateTempKeys changes several temporary keys. Reply: *TempKeysDone. It waits as UpdateTempKey does. By counts, and not that of
	// each update.
	UpdateTempKeys struct {
		By      Caller
		Updates []UpdateTempKey
	}
)

func (*CreateTempKeys) isCommand() {}
func (*UpdateTempKeys) isCommand() {}

// TempKeysDone answers a command for many keys.
type TempKeysDone struct{ Items []TempKeyDone }

// TempKeyDone is what became of one of the keys: Err, or what a Done would say. Event only tells that something was changed when
// the request was carried out before.
type TempKeyDone struct {
	TempKeyID TempKeyID // as the request named it when it came first; empty: as this one does
	Version   uint64
	Event     Event
	Err       *Error
}

func (*TempKeysDone) isReply() {}

func (s *State) createTempKeys(c *CreateTempKeys, now time.Time) (Decision, error) {
	room := maxTempKeys - len(s.TempKeys.list)
	return s.bulk(c.By, len(c.Keys), func(i int) (TempKeyID, Decision, error) {
		key := c.Keys[i]
		key.By = c.By
		id, err := ParseTempKeyID(string(key.UUID))
		if err != nil {
			return id, Decision{}, err
		}
		d, err := s.createTempKey(&key, now)
		if len(d.Events) > 0 {
			if room == 0 {
				return id, Decision{}, tooManyTempKeys()
			}
			room--
		}
		return id, d, err
	})
}

func (s *State) updateTempKeys(c *UpdateTempKeys, now time.Time) (Decision, error) {
	return s.bulk(c.By, len(c.Updates), func(i int) (TempKeyID, Decision, error) {
		update := c.Updates[i]
		update.By = c.By
		d, err := s.updateTempKey(&update, now)
		return update.TempKeyID, d, err
	})
}

// bulk puts the decisions about n keys together. They are about different keys, so that none of them changes what another one
// was decided on, but for how much the lock has of all.
func (s *State) bulk(by Caller, n int, decide func(i int) (TempKeyID, Decision, error)) (Decision, error) {
	if err := s.see(by); err != nil {
		return Decision{}, err
	}
	if n < 1 || n > MaxTempKeysAtOnce {
		return Decision{}, invalid("items", "bulk-size-invalid", "one call may name 1 to 500 temporary keys")
	}
	var all Decision
	grown := 0 // by what was accepted
	result := &TempKeysDone{Items: make([]TempKeyDone, n)}
	named := make(map[TempKeyID]bool, n)
	for i := range n {
		item := &result.Items[i]
		id, d, err := decide(i)
		if err == nil && named[id] {
			d, err = Decision{}, ErrTempKeyTwice
		}
		named[id] = true
		if more := s.growth(d); err == nil && more > 0 && s.TempKeys.text+grown+more > maxTempKeyText {
			d, err = Decision{}, tooMuchText()
		} else {
			grown += more
		}
		if err != nil && !errors.As(err, &item.Err) {
			return Decision{}, err
		}
		version := s.Version + count(all.Events)
		if done, ok := d.Reply.(*Done); ok && item.Err == nil {
			item.Version, item.Event = version+done.Version-s.Version, done.Event
		}
		all.Events = append(all.Events, d.Events...)
		all.Effects = append(all.Effects, d.Effects...)
		all.SafeAfter = append(all.SafeAfter, d.SafeAfter...)
		if d.SafeAt.After(all.SafeAt) {
			all.SafeAt = d.SafeAt
		}
	}
	all.Reply = result
	return all, nil
}

// growth is by how much a decision about one key makes the text of all keys longer.
func (s *State) growth(d Decision) int {
	for _, e := range d.Events {
		switch e := e.(type) {
		case *TempKeyCreated:
			return e.Key.text()
		case *TempKeyUpdated:
			old := s.TempKeys.find(e.TempKeyID)
			next := *old
			next.apply(e.Changes)
			return next.text() - old.text()
		}
	}
	return 0
}
