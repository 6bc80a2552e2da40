package lock

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// StateCodec names the form of MarshalState.
var StateCodec = codecPrefix + strconv.Itoa(stateForm)

const (
	codecPrefix = "lock-state-"
	// stateForm is the number of StateCodec. It rises with every field of the state: an older program would lose that one.
	stateForm = 2
	// oldestForm is the oldest that is still taken. Raise it to stateForm, too, when the state gets something that is worked out
	// from records which older programs knew already. Those who wrote form 1 may have dropped what they did not know.
	oldestForm = 2
)

// TakesSnapshot tells whether a snapshot of a codec can be gone on from: one of this program's form, or of an older one, which was made
// of records that had no more in them. Of the others the stream is replayed; whether this program knows all that is in it,
// its records tell.
func TakesSnapshot(codec string) bool { return takes(codec, stateForm) }

func takes(codec string, own int) bool {
	number, ok := strings.CutPrefix(codec, codecPrefix)
	form, err := strconv.Atoi(number)
	return ok && err == nil && oldestForm <= form && form <= own
}

// recordSize is what most records of an open fit into.
const recordSize = 384

// MarshalEvent writes a journaled event as a record: its type and its JSON.
func MarshalEvent(e Event) (typ string, data []byte, err error) {
	if a, ok := e.(appender); ok {
		data, err = a.appendJSON(make([]byte, 0, recordSize))
	} else {
		data, err = json.Marshal(e)
	}
	if err != nil {
		return "", nil, fmt.Errorf("lock: event %s: %w", e.EventType(), err)
	}
	return e.EventType(), data, nil
}

// UnmarshalEvent reads what MarshalEvent wrote.
func UnmarshalEvent(typ string, data []byte) (Event, error) { return unmarshalEvent(typ, data, Decode) }

// UnmarshalReply reads an event that somebody else has stored, and that is only told of. What this program does not know of it is left out:
// it was carried out, and nobody may hear that nothing was done.
func UnmarshalReply(typ string, data []byte) (Event, error) {
	return unmarshalEvent(typ, data, json.Unmarshal)
}

func unmarshalEvent(typ string, data []byte, decode func([]byte, any) error) (Event, error) {
	create, ok := eventTypes[typ]
	if !ok {
		return nil, fmt.Errorf("lock: unknown event type %q: %w", typ, ErrNewer)
	}
	e := create()
	if err := decode(data, e); err != nil {
		return nil, fmt.Errorf("lock: event %s: %w", typ, err)
	}
	return e, nil
}

// MarshalState writes a snapshot. The live session is not part of it.
func MarshalState(s *State) ([]byte, error) {
	// The requests come last, by hand: encoding/json would go over each of their bytes three times.
	data, err := json.Marshal(struct {
		*State
		Requests *struct{} `json:"requests,omitempty"` // hides the state's own
	}{State: s})
	if err == nil {
		data, err = s.Requests.appendJSON(append(data[:len(data)-1], `,"requests":`...))
	}
	if err != nil {
		return nil, fmt.Errorf("lock: snapshot: %w", err)
	}
	return append(data, '}'), nil
}

// UnmarshalState reads a snapshot.
func UnmarshalState(data []byte) (*State, error) {
	s := new(State)
	// The lists hide the state's own: these have no UnmarshalJSON, which would be told nothing of strictness.
	from := struct {
		*State
		TempKeys []*TempKey    `json:"tempKeys"`
		Requests []*request    `json:"requests"`
		Once     []*remembered `json:"once"`
	}{State: s}
	if err := Decode(data, &from); err != nil {
		return nil, fmt.Errorf("lock: snapshot: %w", err)
	}
	if err := errors.Join(s.TempKeys.load(from.TempKeys), s.Requests.load(from.Requests), s.Once.load(from.Once)); err != nil {
		return nil, fmt.Errorf("lock: snapshot: %w", err)
	}
	if err := s.relink(); err != nil {
		return nil, fmt.Errorf("lock: snapshot: %w", err)
	}
	return s, nil
}

// relink makes the commands share their requests with the log again. The log may have forgotten a request, and may even
// hold another one of the same ID by now. What no command has, has ended.
func (s *State) relink() error {
	if s.KeyWork != nil && (slices.Contains(s.KeyWork.Commands, nil) || slices.Contains(s.KeyWork.Ended, nil) || slices.Contains(s.KeyWork.Jobs, nil)) {
		return errNull
	}
	for _, j := range s.keys().Jobs {
		if len(j.Results) > len(j.Keys) {
			return errResults
		}
	}
	onTheirWay := make(map[*request]bool)
	for _, cmd := range s.Commands {
		if cmd == nil {
			return errNull
		}
		for i, r := range cmd.Requests {
			if r == nil {
				return errNull
			}
			if logged := s.Requests.find(r.ID); logged != nil && logged.CommandID == cmd.ID {
				cmd.Requests[i] = logged
				onTheirWay[logged] = true
			}
		}
	}
	s.Requests.endBut(onTheirWay)
	return nil
}

// Why a snapshot is not what MarshalState wrote.
var (
	errNull    = errors.New("null in a list")
	errResults = errors.New("a job with more results than keys")
)

var eventTypes = map[string]func() Event{
	"LockCreated":         func() Event { return new(LockCreated) },
	"RequestRemembered":   func() Event { return new(RequestRemembered) },
	"OwnerSet":            func() Event { return new(OwnerSet) },
	"OrganizationSet":     func() Event { return new(OrganizationSet) },
	"KeyAdded":            func() Event { return new(KeyAdded) },
	"KeyRemoved":          func() Event { return new(KeyRemoved) },
	"LockUuidChanged":     func() Event { return new(LockUuidChanged) },
	"KeyWriteRequested":   func() Event { return new(KeyWriteRequested) },
	"KeyWritten":          func() Event { return new(KeyWritten) },
	"KeyChangeRequested":  func() Event { return new(KeyChangeRequested) },
	"KeyChangeFailed":     func() Event { return new(KeyChangeFailed) },
	"BulkAddStarted":      func() Event { return new(BulkAddStarted) },
	"BulkKeySettled":      func() Event { return new(BulkKeySettled) },
	"BulkAddEnded":        func() Event { return new(BulkAddEnded) },
	"ConfigSet":           func() Event { return new(ConfigSet) },
	"ConfigApplied":       func() Event { return new(ConfigApplied) },
	"ResidentAdded":       func() Event { return new(ResidentAdded) },
	"ResidentRemoved":     func() Event { return new(ResidentRemoved) },
	"DeviceSecretRotated": func() Event { return new(DeviceSecretRotated) },
	"TempKeyCreated":      func() Event { return new(TempKeyCreated) },
	"TempKeyUpdated":      func() Event { return new(TempKeyUpdated) },
	"TempKeyDeleted":      func() Event { return new(TempKeyDeleted) },
	"TempKeyUsed":         func() Event { return new(TempKeyUsed) },
	"TempKeyUseReturned":  func() Event { return new(TempKeyUseReturned) },
	"LockOpenRequested":   func() Event { return new(LockOpenRequested) },
	"LockOpenSent":        func() Event { return new(LockOpenSent) },
	"LockOpened":          func() Event { return new(LockOpened) },
	"LockOpenFailed":      func() Event { return new(LockOpenFailed) },
	"DeviceReported":      func() Event { return new(DeviceReported) },
	"PINWasWrong":         func() Event { return new(PINWasWrong) },
}

// EventType gives the type of the record.
func (*LockCreated) EventType() string { return "LockCreated" }

// EventType gives the type of the record.
func (*OwnerSet) EventType() string { return "OwnerSet" }

// EventType gives the type of the record.
func (*OrganizationSet) EventType() string { return "OrganizationSet" }

// EventType gives the type of the record.
func (*KeyAdded) EventType() string { return "KeyAdded" }

// EventType gives the type of the record.
func (*KeyRemoved) EventType() string { return "KeyRemoved" }

// EventType gives the type of the record.
func (*LockUuidChanged) EventType() string { return "LockUuidChanged" }

// EventType gives the type of the record.
func (*KeyWriteRequested) EventType() string { return "KeyWriteRequested" }

// EventType gives the type of the record.
func (*KeyWritten) EventType() string { return "KeyWritten" }

// EventType gives the type of the record.
func (*KeyChangeRequested) EventType() string { return "KeyChangeRequested" }

// EventType gives the type of the record.
func (*KeyChangeFailed) EventType() string { return "KeyChangeFailed" }

// EventType gives the type of the record.
func (*BulkAddStarted) EventType() string { return "BulkAddStarted" }

// EventType gives the type of the record.
func (*BulkKeySettled) EventType() string { return "BulkKeySettled" }

// EventType gives the type of the record.
func (*BulkAddEnded) EventType() string { return "BulkAddEnded" }

// EventType gives the type of the record.
func (*ConfigSet) EventType() string { return "ConfigSet" }

// EventType gives the type of the record.
func (*ConfigApplied) EventType() string { return "ConfigApplied" }

// EventType gives the type of the record.
func (*ResidentAdded) EventType() string { return "ResidentAdded" }

// EventType gives the type of the record.
func (*ResidentRemoved) EventType() string { return "ResidentRemoved" }

// EventType gives the type of the record.
func (*DeviceSecretRotated) EventType() string { return "DeviceSecretRotated" }

// EventType gives the type of the record.
func (*TempKeyCreated) EventType() string { return "TempKeyCreated" }

// EventType gives the type of the record.
func (*TempKeyUpdated) EventType() string { return "TempKeyUpdated" }

// EventType gives the type of the record.
func (*TempKeyDeleted) EventType() string { return "TempKeyDeleted" }

// EventType gives the type of the record.
func (*TempKeyUsed) EventType() string { return "TempKeyUsed" }

// EventType gives the type of the record.
func (*TempKeyUseReturned) EventType() string { return "TempKeyUseReturned" }

// EventType gives the type of the record.
func (*LockOpenRequested) EventType() string { return "LockOpenRequested" }

// EventType gives the type of the record.
func (*LockOpenSent) EventType() string { return "LockOpenSent" }

// EventType gives the type of the record.
func (*LockOpened) EventType() string { return "LockOpened" }

// EventType gives the type of the record.
func (*LockOpenFailed) EventType() string { return "LockOpenFailed" }

// EventType gives the type of the record.
func (*DeviceReported) EventType() string { return "DeviceReported" }

// EventType gives the type of the record.
func (*DeviceConnected) EventType() string { return "DeviceConnected" }

// EventType gives the type of the record.
func (*DeviceDisconnected) EventType() string { return "DeviceDisconnected" }
