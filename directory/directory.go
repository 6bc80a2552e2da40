// Package directory knows the people of each organisation: which user has an e-mail address or a phone number.
//
// A platform that has only the address of somebody gets a user of it, the same one each time. An organisation's people are its
// own: the same address in another organisation is another user, and nobody learns that there is one. Each user is a stream
// of the journal, and the address and the number are claimed for it, so that two requests at the same time, on whichever
// nodes, make one user. The claims hold hashes: the index of a journal gives no address away by itself.
package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

const (
	streamPrefix  = "user/"
	recordCreated = "UserCreated"
	recordContact = "UserContactAdded"
	claimEmail    = "user-email"
	claimPhone    = "user-phone"

	maxAttempts = 5  // at what others were faster with
	maxRecords  = 16 // of one user: the first, one for each kind of contact, and the name of the request that led to each
)

// ErrUnavailable says that the journal could not be asked, so that nothing happened. It is in no error of an append.
var ErrUnavailable = errors.New("directory: the journal does not answer")

// User is a person.
type User struct {
	ID        lock.UserID
	Email     string // empty: not known
	Phone     string // empty: not known
	CreatedAt time.Time
}

// Contact is what a person is known by: one of the two, or both.
type Contact struct {
	Email string
	Phone string
}

// Directory finds and makes users. It may be used from any goroutine.
type Directory struct {
	journal journal.Journal
	now     func() time.Time
}

// Options are what a Directory is made of. Fields with a default may be left empty.
type Options struct {
	Journal journal.Journal
	Now     func() time.Time // default: time.Now
}

// New makes a Directory on a journal.
func New(o Options) (*Directory, error) {
	if o.Journal == nil {
		return nil, errors.New("directory: Journal is required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Directory{journal: o.Journal, now: o.Now}, nil
}

// record is what the journal has of a user.
type record struct {
	At     time.Time   `json:"at"`
	OrgID  lock.OrgID  `json:"orgId"`
	UserID lock.UserID `json:"userId"`
	Email  string      `json:"email,omitempty"`
	Phone  string      `json:"phone,omitempty"`
	By     string      `json:"by,omitempty"`
	Via    string      `json:"via,omitempty"`
	From   string      `json:"from,omitempty"`
}

// Find gives the user whom an organisation knows by a contact. Nobody is an error of the kind NotFound, and a contact whose two
// parts belong to two users one of the kind Conflict.
func (d *Directory) Find(ctx context.Context, org lock.OrgID, c Contact) (User, error) {
	c, err := c.normal()
	if err != nil {
		return User{}, err
	}
	stream, err := d.lookUp(ctx, org, c)
	if err != nil {
		return User{}, err
	}
	if stream == "" {
		return User{}, &lock.Error{Kind: lock.NotFound, Reason: "user-not-found", Message: "The organisation knows nobody by this address."}
	}
	user, _, err := d.read(ctx, stream)
	return user, err
}

// FindOrCreate gives the user whom an organisation knows by a contact, and makes one if there is none. What the user was not
// known by is noted. It is durable when it is returned.
func (d *Directory) FindOrCreate(ctx context.Context, org lock.OrgID, c Contact, by lock.Caller) (user User, created bool, err error) {
	if c, err = c.normal(); err != nil {
		return User{}, false, err
	}
	for range maxAttempts {
		before, err := named.From(ctx).Before(ctx, d.journal, d.now())
		if err != nil {
			return User{}, false, fmt.Errorf("directory: %w", err)
		}
		if before != nil {
			user, created, err := d.again(ctx, org, before)
			if !errors.Is(err, errOthers) {
				return user, created, err
			}
			named.From(ctx).Disown()
		}
		stream, err := d.lookUp(ctx, org, c)
		if err != nil {
			return User{}, false, err
		}
		user, created, err = d.write(ctx, org, stream, c, by)
		var taken *journal.ClaimError
		if errors.As(err, &taken) || errors.Is(err, journal.ErrConflict) {
			continue // somebody was faster: there is more to find now
		}
		return user, created, err
	}
	return User{}, false, &lock.Error{Kind: lock.Busy, Reason: "directory-busy", Message: "Others are changing the same user. Try again."}
}

// lookUp gives the stream of the one user who has what the contact names; empty: nobody has any of it. An e-mail address says who it is.
// People who live together share a phone number, so that it says so alone only, and nobody else's number is taken for a new address.
func (d *Directory) lookUp(ctx context.Context, org lock.OrgID, c Contact) (stream string, err error) {
	for _, claim := range c.claims(org) {
		holder, err := d.journal.Claimed(ctx, claim.Kind, claim.Key)
		switch {
		case err != nil:
			return "", fmt.Errorf("%w: %w", ErrUnavailable, err)
		case holder == "" || holder == stream:
		case claim.Kind == claimPhone && c.Email != "":
			return "", &lock.Error{
				Kind: lock.Conflict, Reason: "contacts-differ", Field: "phoneNumber",
				Message: "The phone number belongs to a user whom the e-mail address does not. Leave the number out, or name the user by userId.",
			}
		default:
			stream = holder
		}
	}
	return stream, nil
}

// write makes a user, or notes what the user of a stream was not known by.
func (d *Directory) write(ctx context.Context, org lock.OrgID, stream string, c Contact, by lock.Caller) (User, bool, error) {
	r := record{At: d.now().UTC().Truncate(time.Millisecond), OrgID: org, By: by.Name(), Via: by.Key, From: by.Addr}
	var user User
	var version uint64
	typ := recordContact
	if stream == "" {
		typ, user.ID, user.CreatedAt = recordCreated, lock.UserID(uuid.NewString()), r.At
		stream = streamPrefix + string(user.ID)
	} else {
		var err error
		if user, version, err = d.read(ctx, stream); err != nil {
			return User{}, false, err
		}
	}
	request := named.From(ctx)
	fresh := c.without(user)
	if fresh == (Contact{}) {
		return user, false, request.Keep(ctx, d.journal, r.At, stream, version)
	}
	r.UserID, r.Email, r.Phone = user.ID, fresh.Email, fresh.Phone
	data, err := json.Marshal(r)
	if err != nil {
		return User{}, false, fmt.Errorf("directory: %w", err)
	}
	a := journal.Append{
		Stream: stream, Expected: version, ID: uuid.NewString(),
		Records: []journal.NewRecord{{Type: typ, Time: r.At, Data: data}}, Index: fresh.claims(org),
	}
	if err := request.Join(&a, r.At); err != nil {
		return User{}, false, fmt.Errorf("directory: %w", err)
	}
	if _, err = journal.Do(ctx, d.journal, a); err != nil {
		return User{}, false, fmt.Errorf("directory: %w", err)
	}
	user.note(&r)
	return user, typ == recordCreated, nil
}

func (d *Directory) read(ctx context.Context, stream string) (User, uint64, error) {
	records, err := d.records(ctx, stream, maxRecords)
	if err != nil {
		return User{}, 0, err
	}
	return userOf(stream, records)
}

// records are the first ones of a user, which are small.
func (d *Directory) records(ctx context.Context, stream string, most uint64) (records []journal.Record, err error) {
	for r, err := range journal.All(ctx, d.journal, stream, 0) {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if records = append(records, *r); r.Version >= most {
			break
		}
	}
	return records, nil
}

// userOf is what the records of a stream come to.
func userOf(stream string, records []journal.Record) (User, uint64, error) {
	if len(records) == 0 || !strings.HasPrefix(stream, streamPrefix) {
		return User{}, 0, fmt.Errorf("directory: %q holds a claim and is no user", stream)
	}
	var user User
	for _, stored := range records {
		if stored.Type == named.RecordType {
			continue // the user is who it was
		}
		var r record
		err := lock.Decode(stored.Data, &r)
		if stored.Type != recordCreated && stored.Type != recordContact {
			err = fmt.Errorf("unknown record type %q: %w", stored.Type, lock.ErrNewer)
		}
		if err != nil {
			return User{}, 0, fmt.Errorf("directory: %s version %d: %w", stream, stored.Version, err)
		}
		if stored.Type == recordCreated {
			user.ID, user.CreatedAt = r.UserID, r.At
		}
		user.note(&r)
	}
	return user, records[len(records)-1].Version, nil
}

// note takes over what a record tells of the user's contacts.
func (u *User) note(r *record) {
	if r.Email != "" {
		u.Email = r.Email
	}
	if r.Phone != "" {
		u.Phone = r.Phone
	}
}

// without leaves out what the user is known by. A user keeps the first address and the first number.
func (c Contact) without(u User) Contact {
	if u.Email != "" {
		c.Email = ""
	}
	if u.Phone != "" {
		c.Phone = ""
	}
	return c
}

func (c Contact) claims(org lock.OrgID) (claims []journal.IndexChange) {
	for _, part := range []struct{ kind, value string }{{claimEmail, c.Email}, {claimPhone, c.Phone}} {
		if part.value != "" {
			hash := sha256.Sum256([]byte(string(org) + "\x00" + part.value))
			claims = append(claims, journal.IndexChange{Op: journal.Claim, Kind: part.kind, Key: hex.EncodeToString(hash[:])})
		}
	}
	return claims
}
