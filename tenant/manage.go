package tenant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey/latchkey/lock"
)

var (
	errBusy     = &lock.Error{Kind: lock.Busy, Reason: "organization-busy", Message: "Others are changing this organisation's keys. Try again."}
	errNotFound = &lock.Error{Kind: lock.NotFound, Reason: "api-key-not-found", Message: "The organisation has no such API key. List its keys to see their IDs."}
)

// Organization is a tenant.
type Organization struct {
	ID    lock.OrgID
	Name  string
	Since time.Time
}

// NewKey says what a key shall be. Without scopes (nil) it gets them all, and without an end (nil) it has none. The zero time is an end
// like any other that is over: a program sends it that never set one.
type NewKey struct {
	Name      string
	Scopes    []Scope
	ExpiresAt *time.Time
}

// Register names an organisation. created is false when it was there already; then it has the new name, if that is another. Without a name
// it keeps the one that it has: whoever makes sure that it is there does not rename it.
func (k *Keys) Register(ctx context.Context, by lock.Caller, org lock.OrgID, name string) (o Organization, created bool, err error) {
	if err := errors.Join(checkNew(org), checkName(name)); err != nil {
		return o, false, err
	}
	now := k.stampNow()
	done, err := k.change(ctx, by, org, now, func(o *organization) ([]Event, error) {
		if o.registered && (name == "" || o.name == name) {
			return nil, nil
		}
		return []Event{&OrganizationRegistered{Stamp: stampOf(by, org, now), Name: name}}, nil
	})
	if err != nil {
		return o, false, err
	}
	return Organization{ID: org, Name: done.organization.name, Since: done.organization.since}, done.first, nil
}

// Organization tells of one organisation.
func (k *Keys) Organization(ctx context.Context, org lock.OrgID) (Organization, error) {
	o, err := k.current(ctx, org)
	if err != nil {
		return Organization{}, err
	}
	return Organization{ID: org, Name: o.name, Since: o.since}, nil
}

// Organizations lists up to limit organisations whose IDs come after one, in the order of their bytes.
func (k *Keys) Organizations(ctx context.Context, after lock.OrgID, limit int) ([]Organization, error) {
	streams, err := k.journal.Streams(ctx, streamOf(after), limit)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	list := make([]Organization, 0, len(streams))
	for _, s := range streams {
		id, ok := strings.CutPrefix(s.Name, StreamPrefix)
		if !ok {
			break // there are no more
		}
		o, err := k.Organization(ctx, lock.OrgID(id))
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

// List gives the keys of an organisation, oldest first, with those that were revoked or have expired.
func (k *Keys) List(ctx context.Context, org lock.OrgID) ([]Key, error) {
	o, err := k.current(ctx, org)
	if err != nil {
		return nil, err
	}
	return o.list(), nil
}

// Create makes a key for an organisation. It is durable when it is returned, and its secret cannot be read anywhere
// afterwards: when the request was carried out before, the secret is empty.
func (k *Keys) Create(ctx context.Context, by lock.Caller, org lock.OrgID, want NewKey) (key Key, secret string, err error) {
	if err := checkNew(org); err != nil {
		return key, "", err
	}
	now := k.stampNow()
	event := &KeyCreated{Stamp: stampOf(by, org, now), Name: want.Name, Scopes: want.scopes(), ExpiresAt: want.end()}
	secret = event.mint()
	done, err := k.change(ctx, by, org, now, func(o *organization) ([]Event, error) {
		return []Event{event}, errors.Join(want.check(now), o.room(now))
	})
	return done.newKey(event, secret, err)
}

// Rotate makes a successor of a key, with the same name, scopes and lifetime. The key itself stays good for the grace. The
// secret is told as by Create.
func (k *Keys) Rotate(ctx context.Context, by lock.Caller, org lock.OrgID, id string, grace time.Duration) (key Key, secret string, err error) {
	if err := checkOrg(org); err != nil {
		return key, "", err
	}
	if grace < 0 || grace > MaxGrace {
		return key, "", &lock.Error{Kind: lock.Invalid, Reason: "grace-invalid", Field: "graceSeconds", Message: "graceSeconds must be from 0 to 2592000 (30 days)"}
	}
	now := k.stampNow()
	event := &KeyCreated{Stamp: stampOf(by, org, now), Replaces: id}
	secret = event.mint()
	done, err := k.change(ctx, by, org, now, func(o *organization) ([]Event, error) {
		old, ok := o.keys[id]
		if !ok {
			return nil, errNotFound
		}
		if status := old.Status(now); status != Active {
			return nil, &lock.Error{Kind: lock.Conflict, Reason: "api-key-" + string(status), Message: "This key is good for nothing any more. Create another one."}
		}
		event.Name, event.Scopes = old.Name, old.Scopes
		event.ExpiresAt = old.asLong(now)
		return []Event{event, &KeyReplaced{Stamp: event.Stamp, KeyID: id, GraceUntil: old.graceUntil(now, grace)}}, o.room(now)
	})
	return done.newKey(event, secret, err)
}

// Revoke ends a key: a second after it has returned no member of the cluster takes it any more. Doing it again is fine.
func (k *Keys) Revoke(ctx context.Context, by lock.Caller, org lock.OrgID, id string) (Key, error) {
	if err := checkOrg(org); err != nil {
		return Key{}, err
	}
	now := k.stampNow()
	done, err := k.change(ctx, by, org, now, func(o *organization) ([]Event, error) {
		old, ok := o.keys[id]
		if !ok {
			return nil, errNotFound
		}
		if !old.RevokedAt.IsZero() {
			return nil, nil
		}
		return []Event{&KeyRevoked{Stamp: stampOf(by, org, now), KeyID: id}}, nil
	})
	if err != nil {
		return Key{}, err
	}
	return *done.organization.keys[id], nil
}

// current is an organisation as the journal has it now.
func (k *Keys) current(ctx context.Context, org lock.OrgID) (*organization, error) {
	if err := checkOrg(org); err != nil {
		return nil, err
	}
	now := k.now()
	o, err := k.organization(ctx, streamOf(org), now, now)
	if err == nil && o.version == 0 {
		err = &lock.Error{Kind: lock.NotFound, Reason: "organization-not-found", Message: "There is no such organisation. Register it, or make it an API key."}
	}
	return o, err
}

// room rejects a key too many.
func (o *organization) room(now time.Time) error {
	if o.active(now) < maxActive {
		return nil
	}
	return &lock.Error{Kind: lock.Conflict, Reason: "too-many-api-keys", Message: "The organisation has 1000 API keys that are good, the most that it may have. Revoke some first."}
}

func (n *NewKey) check(now time.Time) error {
	if n.Scopes != nil && len(n.Scopes) == 0 { // whoever asks for none should not get all of them
		return &lock.Error{Kind: lock.Invalid, Reason: "scope-invalid", Field: "scopes", Message: "scopes must have one or more of read, manage and open. Leave it out for a key with all three."}
	}
	for _, s := range n.Scopes {
		if !slices.Contains(AllScopes(), s) {
			return &lock.Error{Kind: lock.Invalid, Reason: "scope-invalid", Field: "scopes", Message: "scopes may have read, manage and open"}
		}
	}
	if n.ExpiresAt != nil && (!n.ExpiresAt.After(now) || n.ExpiresAt.After(lastInstant)) {
		return &lock.Error{Kind: lock.Invalid, Reason: "expiry-invalid", Field: "expiresAt", Message: "expiresAt must be in the future, until the year 9999 in UTC"}
	}
	return checkName(n.Name)
}

// scopes are those that were asked for, once each and in our order.
func (n *NewKey) scopes() []Scope {
	if len(n.Scopes) == 0 {
		return AllScopes()
	}
	return slices.DeleteFunc(AllScopes(), func(s Scope) bool { return !slices.Contains(n.Scopes, s) })
}

// end is when the key ends, in the form of the event, in which zero is never.
func (n *NewKey) end() time.Time {
	if n.ExpiresAt == nil {
		return time.Time{}
	}
	return millis(*n.ExpiresAt)
}

// mint gives the new key a secret, of which the event keeps the hash and the first characters.
func (e *KeyCreated) mint() (secret string) {
	secret = newKey()
	hash := sha256.Sum256([]byte(secret))
	e.Hint, e.Hash = secret[:hintLength], hex.EncodeToString(hash[:])
	return secret
}

func stampOf(by lock.Caller, org lock.OrgID, at time.Time) Stamp {
	return Stamp{At: at, OrgID: org, By: by.Name(), User: by.UserID != "", Via: by.Key, From: by.Addr}
}

func (k *Keys) stampNow() time.Time { return millis(k.now()) }

// millis brings an instant to the form in which it is stored.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
