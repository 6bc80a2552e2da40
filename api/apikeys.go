package api

import (
	"context"
	"net/http"
	"time"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// APIKeys is where the organisations and their API keys are.
type APIKeys interface {
	// Authenticate tells whose key it is. A key that is not good is a *lock.Error of the kind Unauthentic, and comes
	// with it if it was good once.
	Authenticate(ctx context.Context, secret string) (tenant.Key, error)
	// Known tells, without asking anybody, whether a key was good lately.
	Known(secret string) bool

	Register(ctx context.Context, by lock.Caller, org lock.OrgID, name string) (o tenant.Organization, created bool, err error)
	// Organization fails with a *lock.Error of the kind NotFound when nobody ever made the organisation.
	Organization(ctx context.Context, org lock.OrgID) (tenant.Organization, error)
	Organizations(ctx context.Context, after lock.OrgID, limit int) ([]tenant.Organization, error)
	// Create and Rotate tell no secret when the request, named.From(ctx), was carried out before.
	Create(ctx context.Context, by lock.Caller, org lock.OrgID, want tenant.NewKey) (key tenant.Key, secret string, err error)
	Rotate(ctx context.Context, by lock.Caller, org lock.OrgID, id string, grace time.Duration) (key tenant.Key, secret string, err error)
	Revoke(ctx context.Context, by lock.Caller, org lock.OrgID, id string) (tenant.Key, error)
	List(ctx context.Context, org lock.OrgID) ([]tenant.Key, error)
}

// APIKey is an API key without what is secret.
type APIKey struct {
	KeyID     string         `json:"keyId"`
	OrgID     lock.OrgID     `json:"orgId"`
	Prefix    string         `json:"prefix"`
	Name      string         `json:"name"`
	Scopes    []tenant.Scope `json:"scopes"`
	Status    tenant.Status  `json:"status"`
	CreatedAt string         `json:"createdAt"`
	CreatedBy string         `json:"createdBy,omitempty"`
	ExpiresAt string         `json:"expiresAt,omitempty"`
	RevokedAt string         `json:"revokedAt,omitempty"`
	Replaces  string         `json:"replaces,omitempty"`
}

// APIKeyList is all of an organisation's keys.
type APIKeyList struct {
	APIKeys []APIKey `json:"apiKeys"`
}

// APIKeyResult tells what became of a key.
type APIKeyResult struct {
	Success bool `json:"success"`
	APIKey
}

// CreateAPIKeyResult has the key itself, for the only time.
type CreateAPIKeyResult struct {
	APIKeyResult
	Key string `json:"key"`
}

func apiKeyOf(k tenant.Key, now time.Time) APIKey {
	instant := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return lock.Instant(t)
	}
	return APIKey{
		KeyID: k.ID, OrgID: k.OrgID, Prefix: k.Hint, Name: k.Name, Scopes: k.Scopes, Status: k.Status(now),
		CreatedAt: lock.Instant(k.CreatedAt), CreatedBy: k.CreatedBy, ExpiresAt: instant(k.ExpiresAt), RevokedAt: instant(k.RevokedAt),
		Replaces: k.Replaces,
	}
}

func (s *server) writeNewKey(w http.ResponseWriter, r *http.Request, key tenant.Key, secret string, err error) {
	if err == nil && secret == "" {
		err = toldBefore("Rotate the key, under another Idempotency-Key, if the answer got lost.", Told{KeyID: key.ID})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, http.StatusCreated, &CreateAPIKeyResult{APIKeyResult{true, apiKeyOf(key, s.Now())}, secret})
}
