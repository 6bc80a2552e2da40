package tenant

import (
	"maps"
	"slices"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// Scope is a kind of operation that a key is good for.
type Scope string

// The scopes.
const (
	Read   Scope = "read"   // to look
	Manage Scope = "manage" // to change locks and their keys
	Open   Scope = "open"   // to open doors
)

// AllScopes are what a key has when nothing else is asked for.
func AllScopes() []Scope { return []Scope{Read, Manage, Open} }

// Key is an API key as it may be shown: all but the secret.
type Key struct {
	ID        string // made from the hash
	OrgID     lock.OrgID
	Name      string
	Hint      string // its first characters
	Scopes    []Scope
	CreatedAt time.Time
	CreatedBy string
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: it was not
	Replaces  string    // the ID of the key that it takes over from

	hash     string
	lifetime int64 // in milliseconds, that it was made for; zero: without end. A time.Duration ends at 292 years
}

// Status is what a key is worth.
type Status string

// The statuses.
const (
	Active  Status = "active"
	Expired Status = "expired"
	Revoked Status = "revoked"
)

// Status tells what the key is worth at an instant. Like a window it does not contain its last instant.
func (k *Key) Status(now time.Time) Status {
	switch {
	case !k.RevokedAt.IsZero():
		return Revoked
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return Expired
	}
	return Active
}

// idLength is what is shown of a hash to name its key: 64 bits, of which nobody can tell the secret.
const idLength = 16

// KeyID names the key.
func (e *KeyCreated) KeyID() string { return e.Hash[:min(idLength, len(e.Hash))] }

func keyOf(e *KeyCreated) Key {
	k := Key{
		ID: e.KeyID(), OrgID: e.OrgID, Name: e.Name, Hint: e.Hint, Scopes: e.Scopes,
		CreatedAt: e.At, CreatedBy: e.By, ExpiresAt: e.ExpiresAt, Replaces: e.Replaces, hash: e.Hash,
	}
	if k.Scopes == nil {
		k.Scopes = AllScopes()
	}
	if !e.ExpiresAt.IsZero() {
		k.lifetime = e.ExpiresAt.UnixMilli() - e.At.UnixMilli()
	}
	return k
}

// lastInstant is the last one that an API key can end at.
var lastInstant = time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC)

// asLong is when a key ends that is made now for as long as this one was; zero: never.
func (k *Key) asLong(now time.Time) time.Time {
	if k.lifetime == 0 {
		return time.Time{}
	}
	return time.UnixMilli(min(now.UnixMilli()+k.lifetime, lastInstant.UnixMilli())).UTC()
}

// graceUntil is when a key ends that is replaced now: the grace never makes it live longer than it would have.
func (k *Key) graceUntil(now time.Time, grace time.Duration) time.Time {
	until := millis(now.Add(grace))
	if !k.ExpiresAt.IsZero() && k.ExpiresAt.Before(until) {
		return k.ExpiresAt
	}
	return until
}

// maxKept bounds the keys of an organisation that are remembered. The oldest that are worth nothing are forgotten first,
// and answered like keys that never were.
const maxKept = 2 * maxActive

// organization is what the records of a stream come to. It is never changed: a later one is another.
type organization struct {
	version    uint64
	registered bool
	name       string
	since      time.Time
	keys       map[string]*Key // by ID
	order      []string        // the IDs, oldest first
}

// after is the organisation with further events.
func (o *organization) after(version uint64, events []Event) *organization {
	n := &organization{
		version: version, registered: o.registered, name: o.name, since: o.since, keys: maps.Clone(o.keys), order: slices.Clone(o.order),
	}
	if n.keys == nil {
		n.keys = make(map[string]*Key)
	}
	for _, e := range events {
		n.evolve(e)
	}
	return n
}

func (o *organization) evolve(e Event) {
	if o.since.IsZero() {
		o.since = e.stamp().At
	}
	switch e := e.(type) {
	case *OrganizationRegistered:
		o.registered, o.name = true, e.Name
	case *KeyCreated:
		k := keyOf(e)
		o.keys[k.ID] = &k
		o.order = append(o.order, k.ID)
		o.forget(e.At)
	case *KeyReplaced:
		o.change(e.KeyID, func(k *Key) {
			if k.ExpiresAt.IsZero() || e.GraceUntil.Before(k.ExpiresAt) {
				k.ExpiresAt = e.GraceUntil
			}
		})
	case *KeyRevoked:
		o.change(e.KeyID, func(k *Key) { k.RevokedAt = e.At })
	}
}

// change puts a changed copy of a key in its place: others may be looking at the one before.
func (o *organization) change(id string, how func(*Key)) {
	if old, ok := o.keys[id]; ok {
		k := *old
		how(&k)
		o.keys[id] = &k
	}
}

func (o *organization) forget(now time.Time) {
	for len(o.order) > maxKept {
		dead := slices.IndexFunc(o.order, func(id string) bool { return o.keys[id].Status(now) != Active })
		if dead < 0 {
			return
		}
		delete(o.keys, o.order[dead])
		o.order = slices.Delete(o.order, dead, dead+1)
	}
}

// active counts the keys that are worth something.
func (o *organization) active(now time.Time) (n int) {
	for _, k := range o.keys {
		if k.Status(now) == Active {
			n++
		}
	}
	return n
}

// list gives the keys, oldest first.
func (o *organization) list() []Key {
	keys := make([]Key, len(o.order))
	for i, id := range o.order {
		keys[i] = *o.keys[id]
	}
	return keys
}
