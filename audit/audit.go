// Package audit tells what happened to an organisation: to its locks and to its API keys, in the order in which it was
// stored, with who did it and from where.
//
// It keeps nothing of its own. Every change is a record of the journal before it is answered, and the record names its
// organisation, so that reading the records by their positions is a log from which nothing can be missing.
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// pageSize is how many records are read at a time, as far as they are small.
const pageSize = 1000

const lockPrefix = "lock/"

// Event is one thing that happened.
type Event struct {
	AggregateType string // "lock" or "organization"
	AggregateID   string
	Version       uint64
	Position      uint64
	Type          string
	At            time.Time
	OrgID         lock.OrgID
	By            string // who did it
	ByType        string // what By names: user, organization, super or guest
	Via           string // the first characters of the API key that was shown
	From          string // the address that the call came from
	Data          map[string]any
}

// Page is a part of an organisation's log.
type Page struct {
	Events []Event
	Until  uint64 // the position up to which this page goes
	End    bool   // there is no more for now
}

// Log reads a journal.
type Log struct{ journal journal.Journal }

// New makes a Log.
func New(j journal.Journal) *Log { return &Log{j} }

// Organization returns what happened to an organisation in the next records after a position. A page may have no events and
// still not be the last one.
func (l *Log) Organization(ctx context.Context, org lock.OrgID, after uint64) (Page, error) {
	records, err := l.journal.ReadAll(ctx, after, pageSize)
	if err != nil {
		return Page{}, fmt.Errorf("audit: %w", err)
	}
	page := Page{Until: after, End: !journal.Full(records, pageSize)}
	mentions := mentionsOf(org)
	for i := range records {
		r := &records[i]
		page.Until = r.Position
		if !mentions(r.Data) {
			continue
		}
		e, concerns, err := eventOf(r, org)
		if err != nil {
			return Page{}, err
		}
		if slices.Contains(concerns, org) {
			page.Events = append(page.Events, e)
		}
	}
	return page, nil
}

// mentionsOf finds out cheaply whether a record may be about an organisation: most are about others.
func mentionsOf(org lock.OrgID) func([]byte) bool {
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	_ = e.Encode(org) // a string has no way to fail
	escaped, _ := json.Marshal(org)
	needle, other := bytes.TrimSpace(plain.Bytes()), escaped
	return func(data []byte) bool { return bytes.Contains(data, needle) || bytes.Contains(data, other) }
}

// eventOf turns a record into an event as an organisation may read it, and tells which organisations it concerns: none if it is not told about here. The
// parts of collective keys are in the records of their locks.
func eventOf(r *journal.Record, reader lock.OrgID) (e Event, concerns []lock.OrgID, err error) {
	e = Event{Version: r.Version, Position: r.Position}
	if id, ok := strings.CutPrefix(r.Stream, lockPrefix); ok {
		number, err := lock.ParseID(id)
		if err != nil {
			return e, nil, fmt.Errorf("audit: %s: %w", r.Stream, err)
		}
		event, err := lock.UnmarshalEvent(r.Type, r.Data)
		if err != nil {
			return e, nil, fmt.Errorf("audit: %s, version %d: %w", r.Stream, r.Version, err)
		}
		e.AggregateType, e.AggregateID = "lock", id
		if stamped, ok := event.(interface{ EventStamp() lock.Stamp }); ok {
			s := stamped.EventStamp()
			e.At, e.OrgID, e.By, e.ByType = s.At, s.OrgID, s.By, s.ByType()
			e.Via, e.From = lock.OriginOf(event, reader)
		}
		e.Type, e.Data = lock.PublicEvent(number, event)
		concerns = append(concerns, e.OrgID)
		if handed, ok := event.(*lock.OrganizationSet); ok {
			concerns = append(concerns, handed.OldOrgID)
		}
		return e, concerns, nil
	}
	if id, ok := strings.CutPrefix(r.Stream, tenant.StreamPrefix); ok {
		event, err := tenant.ReadEvent(r)
		if err != nil {
			return e, nil, err
		}
		s := tenant.StampOf(event)
		e.AggregateType, e.AggregateID = "organization", id
		e.At, e.OrgID, e.By, e.ByType, e.Via, e.From = s.At, s.OrgID, s.By, s.ByType(), s.Via, s.From
		e.Type, e.Data = tenant.PublicEvent(event)
		return e, []lock.OrgID{s.OrgID}, nil
	}
	return e, nil, nil
}
