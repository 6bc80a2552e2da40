package collective

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

// The records of a key's stream, in the order in which they can come. All times are UTC with milliseconds.
type (
	// requested begins a key: its doors are about to be granted.
	requested struct {
		At          time.Time      `json:"at"`
		UUID        lock.TempKeyID `json:"uuid"`
		OrgID       lock.OrgID     `json:"orgId,omitempty"`
		UserID      lock.UserID    `json:"userId,omitempty"`
		Super       bool           `json:"super,omitempty"`
		By          string         `json:"by,omitempty"`   // the first characters of the API key
		From        string         `json:"from,omitempty"` // the network address
		ValidFrom   time.Time      `json:"validFrom"`
		ValidUntil  time.Time      `json:"validUntil"`
		Description string         `json:"description,omitempty"`
		Doors       []Door         `json:"doors"`
		PIN         []byte         `json:"pin,omitempty"` // sealed
		GiveUpAt    time.Time      `json:"giveUpAt"`
	}
	// granted: every lock has committed its door.
	granted struct {
		At time.Time `json:"at"`
	}
	// remembered: this was done for a request with a name. It comes with granted.
	remembered struct {
		At time.Time `json:"at"`
		named.Mark
	}
	// abandoned: not every lock would or could. The doors that were granted are about to be revoked.
	abandoned struct {
		At     time.Time `json:"at"`
		Reason string    `json:"reason"`
	}
	// revoking: the doors are about to be revoked.
	revoking struct {
		At   time.Time `json:"at"`
		By   string    `json:"by,omitempty"`
		From string    `json:"from,omitempty"`
		Name string    `json:"name,omitempty"`
	}
	// ended: every lock has committed the revocation. The UUIDs of doors that no lock has taken until then are the key's own from here on,
	// so that no lock takes one later, however long the word of it was under way.
	ended struct {
		At      time.Time        `json:"at"`
		Untaken []lock.TempKeyID `json:"untaken,omitempty"`
	}
)

// phase is how far a key has come. It only grows, but for abandoned, which skips granted.
type phase uint8

const (
	missing phase = iota
	creating
	live
	undoing // it never was live
	revoked // not by all locks yet
	over
)

// state is a key as its stream tells.
type state struct {
	requested
	phase     phase
	version   uint64
	wasLive   bool
	revokedAt *time.Time
}

// evolve applies a record.
func (s *state) evolve(r *journal.Record) error {
	e, err := readRecord(r)
	if err != nil {
		return err
	}
	if r.Version != s.version+1 {
		return fmt.Errorf("version %d comes after version %d", r.Version, s.version)
	}
	ok := false
	switch e := e.(type) {
	case *requested:
		ok = s.phase == missing
		s.requested, s.phase = *e, creating
	case *granted:
		ok = s.phase == creating
		s.phase, s.wasLive = live, true
	case *remembered:
		ok = s.phase == live
	case *abandoned:
		ok = s.phase == creating
		s.phase = undoing
	case *revoking:
		ok = s.phase == live
		s.phase = revoked
	case *ended:
		ok = s.phase == undoing || s.phase == revoked
		s.phase = over
		if s.wasLive {
			s.revokedAt = &e.At
		}
	}
	if !ok {
		return fmt.Errorf("a %s cannot come as version %d", r.Type, r.Version)
	}
	s.version = r.Version
	return nil
}

// readRecord takes a record apart.
func readRecord(r *journal.Record) (any, error) {
	var e any
	switch r.Type {
	case "CollectiveKeyRequested":
		e = new(requested)
	case "CollectiveKeyGranted":
		e = new(granted)
	case named.RecordType:
		e = new(remembered)
	case "CollectiveKeyAbandoned":
		e = new(abandoned)
	case "CollectiveKeyRevoking":
		e = new(revoking)
	case "CollectiveKeyEnded":
		e = new(ended)
	default:
		return nil, fmt.Errorf("unknown record type %q: %w", r.Type, lock.ErrNewer)
	}
	return e, lock.Decode(r.Data, e)
}

func newRecord(e any, at time.Time) (journal.NewRecord, error) {
	var typ string
	switch e.(type) {
	case *requested:
		typ = "CollectiveKeyRequested"
	case *granted:
		typ = "CollectiveKeyGranted"
	case *remembered:
		typ = named.RecordType
	case *abandoned:
		typ = "CollectiveKeyAbandoned"
	case *revoking:
		typ = "CollectiveKeyRevoking"
	case *ended:
		typ = "CollectiveKeyEnded"
	}
	data, err := json.Marshal(e)
	return journal.NewRecord{Type: typ, Time: at, Data: data}, err
}

// owner is the caller who created the key.
func (s *state) owner() lock.Caller {
	return lock.Caller{Super: s.Super, OrgID: s.OrgID, UserID: s.UserID, Key: s.By, Addr: s.From}
}

// rows gives what a record changes in the index. The state is the one before it.
func (s *state) rows(e any) []journal.IndexChange {
	switch e := e.(type) {
	case *requested:
		return []journal.IndexChange{
			{Op: journal.Claim, Kind: claimKind, Key: string(e.UUID)},
			{Op: journal.Put, Kind: unfinishedKind, Key: unfinishedKey, Ref: string(e.UUID)},
		}
	case *granted:
		return []journal.IndexChange{
			{Op: journal.Put, Kind: entryKind, Key: listOf(s.owner()), Ref: string(s.UUID)},
			{Op: journal.Remove, Kind: unfinishedKind, Key: unfinishedKey, Ref: string(s.UUID)},
		}
	case *remembered:
		return e.Claims(e.At)
	case *revoking:
		return []journal.IndexChange{{Op: journal.Put, Kind: unfinishedKind, Key: unfinishedKey, Ref: string(s.UUID)}}
	case *ended:
		var rows []journal.IndexChange
		for _, part := range e.Untaken {
			rows = append(rows, journal.IndexChange{Op: journal.Claim, Kind: claimKind, Key: string(part)})
		}
		return append(rows, journal.IndexChange{Op: journal.Remove, Kind: unfinishedKind, Key: unfinishedKey, Ref: string(s.UUID)})
	}
	return nil
}

// Replay follows the stream of a key, for those who verify a journal.
type Replay struct{ state state }

// Apply takes the next record, and tells which index rows came with it.
func (r *Replay) Apply(record *journal.Record) ([]journal.IndexChange, error) {
	e, err := readRecord(record)
	if err != nil {
		return nil, err
	}
	rows := r.state.rows(e)
	if err := r.state.evolve(record); err != nil {
		return nil, err
	}
	if streamOf(r.state.UUID) != record.Stream {
		return nil, errors.New("it belongs to the key " + string(r.state.UUID))
	}
	return rows, nil
}
