package verify

import (
	"encoding/json"

	"github.com/latchkey/latchkey/journal"
)

// orgReplay follows the stream of an organisation: its API keys.
type orgReplay struct {
	*checker
	stream string
}

func (o *orgReplay) record(r *journal.Record) bool {
	var key struct {
		OrgID string `json:"orgId"`
		Hash  string `json:"hash"`
	}
	if r.Type != "ApiKeyCreated" {
		o.found(o.stream, "version %d is a %q, which no organisation has", r.Version, r.Type)
		return true
	}
	if err := json.Unmarshal(r.Data, &key); err != nil {
		o.found(o.stream, "version %d cannot be read: %v", r.Version, err)
		return true
	}
	if orgPrefix+key.OrgID != o.stream {
		o.found(o.stream, "version %d belongs to the organisation %q", r.Version, key.OrgID)
	}
	o.claims(r, "api-key", key.Hash)
	return true
}

func (o *orgReplay) snapshot(s *journal.Snapshot) {
	o.found(o.stream, "has a snapshot of version %d, which no organisation has", s.Version)
}
