package api

import (
	"net/http"
	"time"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// Organization is a tenant as the operator sees it.
type Organization struct {
	OrgID     lock.OrgID `json:"orgId"`
	Name      string     `json:"name"`
	CreatedAt string     `json:"createdAt"`
}

// OrganizationResult answers a registration.
type OrganizationResult struct {
	Success bool `json:"success"`
	Organization
}

// OrganizationList is a page of organisations.
type OrganizationList struct {
	Organizations []Organization `json:"organizations"`
	NextCursor    string         `json:"nextCursor,omitempty"`
}

func organizationOf(o tenant.Organization) Organization {
	return Organization{OrgID: o.ID, Name: o.Name, CreatedAt: lock.Instant(o.Since)}
}

// RegisterOrganization names an organisation: 201, or 200 when it was there already.
func (s *server) RegisterOrganization(w http.ResponseWriter, r *http.Request) {
	var body RegisterOrganizationRequest
	if err := s.readBody(w, r, &body); err != nil {
		s.fail(w, r, err)
		return
	}
	o, created, err := s.APIKeys.Register(underOwnName(r), callerOf(r), lock.OrgID(body.OrgId), body.Name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	s.write(w, r, status, &OrganizationResult{true, organizationOf(o)})
}

const maxOrganizations = 100 // on a page

// ListOrganizations shows a page of the organisations.
func (s *server) ListOrganizations(w http.ResponseWriter, r *http.Request, params ListOrganizationsParams) {
	limit, err := limitOf(params.Limit, maxOrganizations, maxOrganizations)
	var after string
	if err == nil {
		after, err = afterCursor(params.Cursor)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	all, err := s.APIKeys.Organizations(r.Context(), lock.OrgID(after), limit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := OrganizationList{Organizations: make([]Organization, len(all))}
	for i, o := range all {
		list.Organizations[i] = organizationOf(o)
	}
	if len(all) == limit {
		list.NextCursor = cursorTo(string(all[limit-1].ID))
	}
	s.write(w, r, http.StatusOK, &list)
}

// DefaultKeyGrace is how long an API key stays good beside its successor, unless the request says otherwise.
const DefaultKeyGrace = 24 * time.Hour

// CreateApiKey makes an API key for an organisation.
func (s *server) CreateApiKey(w http.ResponseWriter, r *http.Request, orgID string) {
	var body CreateApiKeyRequest
	if err := s.readOptionalBody(w, r, &body); err != nil {
		s.fail(w, r, err)
		return
	}
	want := tenant.NewKey{Name: body.Name, Scopes: body.Scopes}
	if body.ExpiresAt != nil {
		want.ExpiresAt = &body.ExpiresAt.Time
	}
	key, secret, err := s.APIKeys.Create(underOwnName(r), callerOf(r), lock.OrgID(orgID), want)
	s.writeNewKey(w, r, key, secret, err)
}

// RotateApiKey makes an API key a successor.
func (s *server) RotateApiKey(w http.ResponseWriter, r *http.Request, orgID, keyID string) {
	body := RotateApiKeyRequest{GraceSeconds: int64(DefaultKeyGrace / time.Second)}
	if err := s.readOptionalBody(w, r, &body); err != nil {
		s.fail(w, r, err)
		return
	}
	grace := time.Duration(max(-1, min(body.GraceSeconds, maxGraceSeconds))) * time.Second
	key, secret, err := s.APIKeys.Rotate(underOwnName(r), callerOf(r), lock.OrgID(orgID), keyID, grace)
	s.writeNewKey(w, r, key, secret, err)
}

// RevokeApiKey ends an API key.
func (s *server) RevokeApiKey(w http.ResponseWriter, r *http.Request, orgID, keyID string) {
	if err := s.readOptionalBody(w, r, new(struct{})); err != nil {
		s.fail(w, r, err)
		return
	}
	key, err := s.APIKeys.Revoke(underOwnName(r), callerOf(r), lock.OrgID(orgID), keyID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, http.StatusOK, &APIKeyResult{true, apiKeyOf(key, s.Now())})
}

// ListApiKeys shows the API keys of an organisation.
func (s *server) ListApiKeys(w http.ResponseWriter, r *http.Request, orgID string) {
	keys, err := s.APIKeys.List(r.Context(), lock.OrgID(orgID))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := APIKeyList{APIKeys: make([]APIKey, len(keys))}
	now := s.Now()
	for i, k := range keys {
		list.APIKeys[i] = apiKeyOf(k, now)
	}
	s.write(w, r, http.StatusOK, &list)
}
