package api

import (
	"net/http"

	"github.com/latchkey/latchkey/lock"
)

var errSuperKey = &lock.Error{Kind: lock.Forbidden, Reason: "super-key-required", Message: "This takes the operator's super key."}

// CreateApiKey makes an API key for an organisation.
func (s *server) CreateApiKey(w http.ResponseWriter, r *http.Request, orgID string) {
	if !callerOf(r).Super {
		s.fail(w, r, errSuperKey)
		return
	}
	if err := readOptionalBody(w, r, new(struct{})); err != nil {
		s.fail(w, r, err)
		return
	}
	key, err := s.APIKeys.Create(r.Context(), lock.OrgID(orgID))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, http.StatusCreated, &CreateApiKeyResult{Success: true, OrgID: lock.OrgID(orgID), Key: key})
}
