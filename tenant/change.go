package tenant

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

// done is a change that is in the journal.
type done struct {
	organization *organization // right after the change
	events       []Event       // that it led to
	first        bool          // it began the stream
	before       bool          // the request was carried out before this call
}

// newKey is the answer to the change that made a key. What is secret of it is known to the call that made it, and to nobody later.
func (d *done) newKey(event *KeyCreated, secret string, err error) (Key, string, error) {
	if err != nil {
		return Key{}, "", err
	}
	if !d.before {
		return keyOf(event), secret, nil
	}
	for _, e := range d.events {
		if created, ok := e.(*KeyCreated); ok {
			return keyOf(created), "", nil
		}
	}
	return Key{}, "", errors.New("tenant: a request for a key is remembered without one")
}

// change appends the events that decide makes of an organisation as the journal has it, unless the request was carried out before.
func (k *Keys) change(ctx context.Context, by lock.Caller, org lock.OrgID, now time.Time, decide func(*organization) ([]Event, error)) (*done, error) {
	stream, request := streamOf(org), named.From(ctx)
	for range maxAttempts {
		at := k.now()
		o, err := k.organization(ctx, stream, at, at)
		if err != nil {
			return nil, err
		}
		// Only now: a stream may claim a name twice, so that what came after this look has to move the version that was read before.
		before, err := request.Before(ctx, k.journal, now)
		if err != nil {
			return nil, unlessRejected(err)
		}
		if before != nil {
			return k.done(ctx, before)
		}
		events, err := decide(o)
		if err != nil {
			return nil, err
		}
		if mark := request.Mark(); mark != nil {
			events = append(events, &RequestRemembered{Stamp: stampOf(by, org, now), Mark: *mark})
		}
		if len(events) == 0 {
			return &done{organization: o}, nil
		}
		a, err := appendOf(stream, o.version, events)
		if err != nil {
			return nil, err
		}
		result, err := journal.Do(ctx, k.journal, a)
		var taken *journal.ClaimError
		switch {
		case err == nil:
			k.views.Add(stream, view{organization: o}) // it is not fresh any more
			return &done{organization: o.after(result.Version, events), events: events, first: o.version == 0}, nil
		case errors.Is(err, journal.ErrUnknown):
			return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
		case !errors.Is(err, journal.ErrConflict) && !errors.As(err, &taken): // of the name: a key's hash is nobody else's
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return nil, errBusy
}

func appendOf(stream string, version uint64, events []Event) (journal.Append, error) {
	a := journal.Append{Stream: stream, Expected: version, ID: rand.Text()}
	for _, e := range events {
		data, err := json.Marshal(e)
		if err != nil {
			return a, fmt.Errorf("tenant: %w", err)
		}
		a.Records = append(a.Records, journal.NewRecord{Type: e.EventType(), Time: e.stamp().At, Data: data})
		a.Index = append(a.Index, indexOf(e)...)
	}
	return a, nil
}

// indexOf gives the index rows that come with an event.
func indexOf(e Event) []journal.IndexChange {
	switch e := e.(type) {
	case *KeyCreated:
		return []journal.IndexChange{{Op: journal.Claim, Kind: claimKind, Key: e.Hash}}
	case *RequestRemembered:
		return e.Claims(e.At)
	}
	return nil
}

// done is what a request led to that was carried out before, with the organisation as it was then.
func (k *Keys) done(ctx context.Context, before *named.Found) (*done, error) {
	d := &done{organization: new(organization), before: true}
	for d.organization.version < before.Version {
		records, err := k.journal.Read(ctx, before.Stream, d.organization.version, min(pageSize, int(before.Version-d.organization.version)))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if len(records) == 0 {
			return nil, fmt.Errorf("tenant: %s has not come to version %d", before.Stream, before.Version)
		}
		events, err := readEvents(records)
		if err != nil {
			return nil, err
		}
		for i := range records {
			if records[i].AppendID == before.AppendID {
				d.events, d.first = append(d.events, events[i]), d.first || records[i].Version == 1
			}
		}
		d.organization = d.organization.after(records[len(records)-1].Version, events)
	}
	return d, nil
}

// unlessRejected says of an error of a look-up that nothing happened.
func unlessRejected(err error) error {
	var rejection *lock.Error
	if errors.As(err, &rejection) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
