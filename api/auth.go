package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/latchkey/latchkey/lock"
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
)

// authenticate finds out who calls, as the operation's entry in openapi.yaml asks.
func (s *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		need := s.spec.security[operation{method, routeOf(r)}]
		if need == authNone {
			next.ServeHTTP(w, r)
			return
		}
		caller, found, err := s.caller(r)
		if err == nil && !found && need == authRequired {
			err = errNoCredentials
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		traceOf(r).caller = caller
		next.ServeHTTP(w, r)
	})
}

// caller checks the credentials that a request shows. All that are shown must be good.
func (s *server) caller(r *http.Request) (c lock.Caller, found bool, err error) {
	keys, tokens := r.Header["X-Api-Key"], r.Header["Authorization"]
	if len(keys) > 1 || len(tokens) > 1 {
		return c, false, errTwoKeys
	}
	if len(keys) == 1 {
		if err := s.checkKey(r, keys[0], &c); err != nil {
			return c, false, err
		}
	}
	if len(tokens) == 1 {
		scheme, token, _ := strings.Cut(tokens[0], " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxTokenLength {
			return c, false, errBadScheme
		}
		if c.UserID, err = s.tokens.check(r.Context(), token); err != nil {
			return c, false, err
		}
	}
	return c, len(keys)+len(tokens) > 0, nil
}

func (s *server) checkKey(r *http.Request, key string, c *lock.Caller) error {
	if key == "" || len(key) > maxKeyLength || !utf8.ValidString(key) {
		return errBadKey
	}
	hash := sha256.Sum256([]byte(key))
	if subtle.ConstantTimeCompare(hash[:], s.SuperKeyHash) == 1 {
		c.Super = true
		return nil
	}
	org, err := s.APIKeys.Authenticate(r.Context(), key)
	if err != nil {
		return err
	}
	if org == "" {
		return errBadKey
	}
	c.OrgID = org
	return nil
}
