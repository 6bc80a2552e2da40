package tenant

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

func refused(reason, message string) *lock.Error {
	return &lock.Error{Kind: lock.Unauthentic, Reason: reason, Message: message}
}

var (
	errMistyped = refused("api-key-mistyped", "The API key is not as it was made: a character is wrong or missing. Copy it again.")
	errInvalid  = refused("api-key-invalid", "The API key is not good. Look for one that was cut off, or mixed up with another server's.")
	errRevoked  = refused("api-key-revoked", "The API key was revoked.")
	errExpired  = refused("api-key-expired", "The API key has expired. Ask the server's operator for another.")
)

// Authenticate tells whose key it is and what it is good for. A key that is not good is a *lock.Error of the kind
// Unauthentic; one that was good once comes with it. A key with a wrong checksum costs no look-up. Keys are looked up by their hash, so that the time it takes
// tells nothing of the secret.
func (k *Keys) Authenticate(ctx context.Context, secret string) (Key, error) {
	key, err := k.authenticate(ctx, secret)
	k.metrics.observe(err)
	return key, err
}

// Known tells, without asking the journal, whether a key was good lately.
func (k *Keys) Known(secret string) bool { return k.claims.Contains(sha256.Sum256([]byte(secret))) }

func (k *Keys) authenticate(ctx context.Context, secret string) (Key, error) {
	if !wellFormed(secret) {
		if ours(secret) {
			return Key{}, errMistyped
		}
		return Key{}, errInvalid
	}
	now := k.now()
	hash := sha256.Sum256([]byte(secret))
	text := hex.EncodeToString(hash[:])
	c, ok := k.claims.Get(hash)
	if !ok {
		stream, err := k.journal.Claimed(ctx, claimKind, text)
		if err != nil {
			return Key{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if stream == "" {
			return Key{}, errInvalid
		}
		c = claim{stream, k.now()}
		k.claims.Add(hash, c)
	}
	o, err := k.organization(ctx, c.stream, later(c.at, now.Add(-freshFor)), later(c.at, now.Add(-staleFor)))
	if err != nil {
		return Key{}, err
	}
	key, ok := o.keys[text[:idLength]]
	if !ok || subtle.ConstantTimeCompare([]byte(key.hash), []byte(text)) != 1 {
		return Key{}, errInvalid
	}
	switch key.Status(now) {
	case Revoked:
		return *key, errRevoked
	case Expired:
		return *key, errExpired
	}
	return *key, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// organization gives an organisation as the journal had it at the instant fresh or later. While the journal does not answer,
// what it had at the instant stale or later is good enough.
func (k *Keys) organization(ctx context.Context, stream string, fresh, stale time.Time) (*organization, error) {
	for range maxAttempts {
		known, _ := k.views.Get(stream)
		if known.organization != nil && !known.at.Before(fresh) {
			return known.organization, nil
		}
		flight := k.flights.DoChan(stream, func() (any, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
			defer cancel()
			return k.look(ctx, stream)
		})
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
		case result := <-flight:
			if result.Err != nil {
				if known.organization != nil && !known.at.Before(stale) {
					return known.organization, nil
				}
				return nil, result.Err
			}
			if seen := result.Val.(view); !seen.at.Before(fresh) {
				return seen.organization, nil
			}
			// That look had begun earlier.
		}
	}
	return nil, errBusy
}

// look brings the view of an organisation up to date.
func (k *Keys) look(ctx context.Context, stream string) (view, error) {
	known, _ := k.views.Get(stream)
	if known.organization == nil {
		known.organization = new(organization)
	}
	v := view{known.organization, k.now()}
	for {
		records, err := k.journal.Read(ctx, stream, v.organization.version, pageSize)
		if err != nil {
			return view{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if len(records) > 0 {
			events, err := readEvents(records)
			if err != nil {
				return view{}, err
			}
			v.organization = v.organization.after(records[len(records)-1].Version, events)
		}
		if !journal.Full(records, pageSize) {
			k.views.Add(stream, v)
			return v, nil
		}
	}
}
