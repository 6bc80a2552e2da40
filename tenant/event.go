package tenant

import (
	"fmt"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

// Event is a fact about an organisation, as its stream has it.
type Event interface {
	EventType() string
	stamp() *Stamp
}

// Stamp is what every event carries. Journals before there was an audit have the instant and the organisation only.
type Stamp struct {
	At    time.Time  `json:"at"`
	OrgID lock.OrgID `json:"orgId"`
	By    string     `json:"by,omitempty"`
	User  bool       `json:"byUser,omitempty"` // By is a user
	Via   string     `json:"via,omitempty"`    // the first characters of the API key that was shown
	From  string     `json:"from,omitempty"`   // the address that the call came from
}

func (s *Stamp) stamp() *Stamp { return s }

// ByType tells what By names, as that of a lock's event does.
func (s *Stamp) ByType() string {
	as := lock.Stamp{By: s.By, ByUser: s.User, Via: s.Via}
	return as.ByType()
}

// StampOf gives the stamp of an event.
func StampOf(e Event) Stamp { return *e.stamp() }

type (
	// OrganizationRegistered names an organisation for people. It may come again, with another name.
	OrganizationRegistered struct {
		Stamp
		Name string `json:"name"`
	}
	// KeyCreated tells of a new key. A key without scopes comes from a journal before there were any: it has them all.
	KeyCreated struct {
		Stamp
		Hint      string    `json:"hint"` // the first characters, for people to tell keys apart
		Hash      string    `json:"hash"`
		Name      string    `json:"name,omitempty"`
		Scopes    []Scope   `json:"scopes,omitempty"`
		ExpiresAt time.Time `json:"expiresAt,omitzero"`
		Replaces  string    `json:"replaces,omitempty"` // the ID of the key that it takes over from
	}
	// KeyReplaced ends a key when the grace is over that it has beside its successor.
	KeyReplaced struct {
		Stamp
		KeyID      string    `json:"keyId"`
		GraceUntil time.Time `json:"graceUntil"`
	}
	// KeyRevoked ends a key at once.
	KeyRevoked struct {
		Stamp
		KeyID string `json:"keyId"`
	}
	// RequestRemembered is the name of the request that led to what came before it in the same append.
	RequestRemembered struct {
		Stamp
		named.Mark
	}
)

// The types of the records.
const (
	recordRegistered  = "OrganizationRegistered"
	recordKeyCreated  = "ApiKeyCreated"
	recordKeyReplaced = "ApiKeyReplaced"
	recordKeyRevoked  = "ApiKeyRevoked"
)

// EventType gives the type of the record.
func (*OrganizationRegistered) EventType() string { return recordRegistered }

// EventType gives the type of the record.
func (*KeyCreated) EventType() string { return recordKeyCreated }

// EventType gives the type of the record.
func (*KeyReplaced) EventType() string { return recordKeyReplaced }

// EventType gives the type of the record.
func (*KeyRevoked) EventType() string { return recordKeyRevoked }

// EventType gives the type of the record.
func (*RequestRemembered) EventType() string { return named.RecordType }

// ReadEvent reads a record of an organisation's stream.
func ReadEvent(r *journal.Record) (Event, error) {
	var e Event
	switch r.Type {
	case recordRegistered:
		e = new(OrganizationRegistered)
	case recordKeyCreated:
		e = new(KeyCreated)
	case recordKeyReplaced:
		e = new(KeyReplaced)
	case recordKeyRevoked:
		e = new(KeyRevoked)
	case named.RecordType:
		e = new(RequestRemembered)
	default:
		return nil, fmt.Errorf("tenant: %s has a record of the unknown type %q: %w", r.Stream, r.Type, lock.ErrNewer)
	}
	if err := lock.Decode(r.Data, e); err != nil {
		return nil, fmt.Errorf("tenant: %s, version %d: %w", r.Stream, r.Version, err)
	}
	return e, nil
}

func readEvents(records []journal.Record) (events []Event, err error) {
	events = make([]Event, len(records))
	for i := range records {
		if events[i], err = ReadEvent(&records[i]); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// PublicEvent projects an event to what callers see of it. Hashes stay out.
func PublicEvent(e Event) (typ string, data map[string]any) {
	s := e.stamp()
	data = map[string]any{"orgId": s.OrgID, "timestamp": lock.Instant(s.At)}
	switch e := e.(type) {
	case *OrganizationRegistered:
		data["name"] = e.Name
	case *KeyCreated:
		k := keyOf(e)
		data["keyId"], data["prefix"], data["name"], data["scopes"] = k.ID, k.Hint, k.Name, k.Scopes
		if !e.ExpiresAt.IsZero() {
			data["expiresAt"] = lock.Instant(e.ExpiresAt)
		}
		if e.Replaces != "" {
			data["replaces"] = e.Replaces
		}
	case *KeyReplaced:
		data["keyId"], data["graceUntil"] = e.KeyID, lock.Instant(e.GraceUntil)
	case *KeyRevoked:
		data["keyId"] = e.KeyID
	}
	return e.EventType(), data
}
