// Package tenant keeps the organisations' API keys: one stream of the journal for each organisation.
//
// A key is shown once and stored as its SHA-256 only, which is enough: a secret of 256 random bits cannot be
// guessed from its hash. The hash is claimed for the organisation's stream, so that one look-up says whose key it is.
package tenant

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

const (
	streamPrefix     = "org/"
	recordKeyCreated = "ApiKeyCreated"
	claimKind        = "api-key"
	maxOrgID         = 800 // bytes, as for the organisation of a lock
	maxAttempts      = 5   // at an append that others were faster with

	// DefaultCacheSize is how many keys are kept in memory.
	DefaultCacheSize = 4096
	// cacheFor is short, so that every member hears of a change to a key within a second.
	cacheFor = time.Second
)

// Options are what Keys are made of. Fields with a default may be left empty.
type Options struct {
	Journal   journal.Journal
	CacheSize int
	Now       func() time.Time // default: time.Now
}

func (o *Options) validate() error {
	if o.CacheSize == 0 {
		o.CacheSize = DefaultCacheSize
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch {
	case o.Journal == nil:
		return errors.New("tenant: Journal is required")
	case o.CacheSize < 0:
		return errors.New("tenant: CacheSize must not be negative")
	}
	return nil
}

// Keys makes API keys and tells whose they are. It may be used from any goroutine.
type Keys struct {
	journal journal.Journal
	now     func() time.Time
	cache   *lru.Cache[[sha256.Size]byte, cached]
}

type cached struct {
	org lock.OrgID
	at  time.Time
}

// New makes Keys on a journal.
func New(o Options) (*Keys, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	cache, err := lru.New[[sha256.Size]byte, cached](o.CacheSize)
	if err != nil {
		return nil, fmt.Errorf("tenant: %w", err)
	}
	return &Keys{journal: o.Journal, now: o.Now, cache: cache}, nil
}

// keyCreated is the record of a new key.
type keyCreated struct {
	At    time.Time  `json:"at"`
	OrgID lock.OrgID `json:"orgId"`
	Hint  string     `json:"hint"` // the first characters, for people to tell keys apart
	Hash  string     `json:"hash"`
}

// Create makes a key for an organisation. It is durable when it is returned, and cannot be read anywhere afterwards.
func (k *Keys) Create(ctx context.Context, org lock.OrgID) (key string, err error) {
	if err := checkOrg(org); err != nil {
		return "", err
	}
	key = newKey()
	hash := sha256.Sum256([]byte(key))
	event := keyCreated{At: k.now().UTC().Truncate(time.Millisecond), OrgID: org, Hint: key[:hintLength], Hash: hex.EncodeToString(hash[:])}
	data, err := json.Marshal(event)
	if err != nil {
		return "", fmt.Errorf("tenant: %w", err)
	}
	stream := streamPrefix + string(org)
	for range maxAttempts {
		version, _, err := k.journal.Head(ctx, stream)
		if err != nil {
			return "", fmt.Errorf("tenant: %w", err)
		}
		_, err = journal.Do(ctx, k.journal, journal.Append{
			Stream: stream, Expected: version, ID: rand.Text(),
			Records: []journal.NewRecord{{Type: recordKeyCreated, Time: event.At, Data: data}},
			Index:   []journal.IndexChange{{Op: journal.Claim, Kind: claimKind, Key: event.Hash}},
		})
		if err == nil {
			return key, nil
		}
		if !errors.Is(err, journal.ErrConflict) {
			return "", fmt.Errorf("tenant: %w", err)
		}
	}
	return "", &lock.Error{Kind: lock.Busy, Reason: "organization-busy", Message: "Others are changing this organisation's keys. Try again."}
}

func checkOrg(org lock.OrgID) error {
	if org == "" || len(org) > maxOrgID || !utf8.ValidString(string(org)) || strings.ContainsFunc(string(org), unicode.IsControl) {
		return &lock.Error{Kind: lock.Invalid, Reason: "org-id-invalid", Field: "orgId", Message: "orgId must name an organisation, in up to 800 characters without control characters"}
	}
	return nil
}

var errInvalid = &lock.Error{Kind: lock.Unauthentic, Reason: "api-key-invalid", Message: "The API key is not good. Look for one that was cut off, or mixed up with another server's."}

// Authenticate tells whose key it is. A key that nobody has is a *lock.Error of the kind Unauthentic.
// A key with a wrong checksum costs no look-up. The look-up is by hash, so its time tells nothing of the secret.
func (k *Keys) Authenticate(ctx context.Context, key string) (lock.OrgID, error) {
	if !wellFormed(key) {
		return "", errInvalid
	}
	hash := sha256.Sum256([]byte(key))
	now := k.now()
	if c, ok := k.cache.Get(hash); ok && now.Sub(c.at) < cacheFor {
		return c.org, nil
	}
	stream, err := k.journal.Claimed(ctx, claimKind, hex.EncodeToString(hash[:]))
	if err != nil {
		return "", fmt.Errorf("tenant: %w", err)
	}
	org, ok := strings.CutPrefix(stream, streamPrefix)
	if !ok {
		return "", errInvalid
	}
	k.cache.Add(hash, cached{lock.OrgID(org), now})
	return lock.OrgID(org), nil
}
