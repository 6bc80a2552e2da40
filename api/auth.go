package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// The longest credentials that are looked at.
const (
	maxKeyLength   = 512
	maxTokenLength = 8 << 10
)

var (
	errNoCredentials = unauthentic("credentials-required", "Show an API key in X-API-Key, or a token in Authorization: Bearer.")
	errTwoKeys       = unauthentic("credentials-twice", "X-API-Key and Authorization may come once only.")
	errBadScheme     = unauthentic("authorization-invalid", "Authorization must be: Bearer, a space, and a token.")
	errBadKey        = unauthentic("api-key-invalid", "The API key is not good. Look for one that was cut off, or mixed up with another server's.")
	errSuperKey      = &lock.Error{Kind: lock.Forbidden, Reason: "super-key-required", Message: "This takes the operator's super key."}
)

func errScope(missing tenant.Scope) error {
	return &lock.Error{Kind: lock.Forbidden, Reason: "scope-missing", Message: "The API key is not for this: it lacks the scope " + string(missing) + ". Use another key, or ask the server's operator for one."}
}

// credentials are what a request has shown, all of it good.
type credentials struct {
	caller lock.Caller
	shown  bool
	scopes []tenant.Scope // of the API key

	token bool // it was the token's turn: what was before it is good
}

// guarded lets those through whom an operation is for, and carries a named request out once.
func (s *server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := s.authenticate(w, r)
		if err == nil && traceOf(r).rule.security == authRequired { // what a mail program adds to a guest's link is no fault of the guest
			err = checkQuery(r)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.named(w, r, next)
	})
}

// authenticate finds out who calls, and whether the operation's entry in openapi.yaml is for them.
func (s *server) authenticate(w http.ResponseWriter, r *http.Request) error {
	t := traceOf(r)
	var c credentials
	if t.rule.security != authNone {
		var err error
		if c, err = s.credentials(r); err != nil {
			s.wrongCredentials(w, r, c, err)
			return err
		}
	}
	if err := t.rule.admit(c); err != nil {
		return err
	}
	if err := s.limit(w, r, c.caller); err != nil {
		return err
	}
	if t.rule.security == authRequired {
		c.caller.Addr = s.address(r) // of guests none is kept
	}
	t.caller, t.body = c.caller, s.bodies.boundOf(r, t.rule)
	return nil
}

// admit rejects callers that the operation is not for. It looks at nothing but their credentials, so that a caller without
// the right learns nothing of what is there.
func (rule rule) admit(c credentials) error {
	switch {
	case !c.shown && rule.security == authRequired:
		return errNoCredentials
	case rule.scope == scopePublic, c.caller.Super:
		return nil
	case rule.scope == scopeSuper:
		return errSuperKey
	case c.caller.OrgID != "" && !slices.Contains(c.scopes, rule.scope):
		return errScope(rule.scope)
	}
	return nil
}

// credentials checks what a request shows. All of it must be good.
func (s *server) credentials(r *http.Request) (c credentials, err error) {
	keys, tokens := r.Header["X-Api-Key"], r.Header["Authorization"]
	if len(keys) > 1 || len(tokens) > 1 {
		return c, errTwoKeys
	}
	c.shown = len(keys)+len(tokens) > 0
	if len(keys) == 1 {
		if err := s.checkKey(r, keys[0], &c); err != nil {
			return c, err
		}
	}
	if len(tokens) == 1 {
		scheme, token, _ := strings.Cut(tokens[0], " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxTokenLength {
			return c, errBadScheme
		}
		c.token = true
		if c.caller.UserID, err = s.checkToken(r, token, len(keys) == 1); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (s *server) checkKey(r *http.Request, secret string, c *credentials) error {
	if secret == "" || len(secret) > maxKeyLength || !utf8.ValidString(secret) {
		s.tellBadKey(r, "", tenant.Key{}, errBadKey)
		return errBadKey
	}
	hash := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(hash[:], s.SuperKeyHash) == 1 {
		c.caller.Super = true
		return nil
	}
	ctx := r.Context()
	if !s.APIKeys.Known(secret) {
		if s.mayNotGuess(r) {
			return errTooMany
		}
		// Who leaves before the answer has guessed as well.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), s.RequestTimeout)
		defer cancel()
	}
	key, err := s.APIKeys.Authenticate(ctx, secret)
	if err != nil {
		s.tellBadKey(r, secret, key, err)
		return err
	}
	c.caller.OrgID, c.caller.Key, c.scopes = key.OrgID, key.Hint, key.Scopes
	return nil
}

// tellBadKey logs whose key was refused, or one of those, so that an operator finds the platform that shows it. Of a key that nobody knows
// there is its beginning, if it looks like one of ours: what else people put there may be another secret of theirs.
func (s *server) tellBadKey(r *http.Request, secret string, key tenant.Key, err error) {
	var refusal *lock.Error
	if !errors.As(err, &refusal) || refusal.Kind != lock.Unauthentic {
		return // the journal, which tells of itself
	}
	others, due := s.badKeys.Due(refusal.Reason)
	if !due {
		return
	}
	about := []any{"reason", refusal.Reason, "address", s.address(r), "prefix", tenant.HintOf(secret)}
	if key.ID != "" {
		about = append(about, "key", key.ID, "organization", key.OrgID, "name", key.Name)
	}
	s.Logger.InfoContext(r.Context(), "an API key was refused", append(about, "others", others)...)
}
