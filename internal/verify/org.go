package verify

import (
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/tenant"
)

// orgReplay follows the stream of an organisation: its API keys.
type orgReplay struct {
	*checker
	stream string
	keys   map[string]bool // their IDs
}

func newOrgReplay(c *checker, stream string) *orgReplay {
	return &orgReplay{checker: c, stream: stream, keys: make(map[string]bool)}
}

func (o *orgReplay) record(r *journal.Record) bool {
	e, err := tenant.ReadEvent(r)
	if err != nil {
		o.found(o.stream, "version %d cannot be read: %v", r.Version, err)
		return true
	}
	if s := tenant.StampOf(e); tenant.StreamPrefix+string(s.OrgID) != o.stream {
		o.found(o.stream, "version %d belongs to the organisation %q", r.Version, s.OrgID)
	}
	switch e := e.(type) {
	case *tenant.KeyCreated:
		o.claims(r, "api-key", e.Hash)
		id := e.KeyID()
		if o.keys[id] {
			o.found(o.stream, "version %d creates the key %s, which is there", r.Version, id)
		}
		o.keys[id] = true
	case *tenant.RequestRemembered:
		o.names(r, e.Claims(e.At))
	case *tenant.KeyReplaced:
		o.known(r, e.KeyID)
	case *tenant.KeyRevoked:
		o.known(r, e.KeyID)
	}
	return true
}

func (o *orgReplay) known(r *journal.Record, id string) {
	if !o.keys[id] {
		o.found(o.stream, "version %d ends the key %q, which was never created", r.Version, id)
	}
}

func (o *orgReplay) snapshot(s *journal.Snapshot) {
	o.found(o.stream, "has a snapshot of version %d, which no organisation has", s.Version)
}
