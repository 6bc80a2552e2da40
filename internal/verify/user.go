package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/named"
)

// userReplay follows the stream of a user: whom an organisation knows by which address.
type userReplay struct {
	*checker
	stream string
	org    string
	email  string
	phone  string
}

func (u *userReplay) record(r *journal.Record) bool {
	if r.Type == named.RecordType {
		return u.remembers(r) != nil
	}
	var e struct {
		OrgID  string `json:"orgId"`
		UserID string `json:"userId"`
		Email  string `json:"email"`
		Phone  string `json:"phone"`

		At, By, Via, From json.RawMessage // known, and no matter here
	}
	if err := lock.Decode(r.Data, &e); err != nil {
		u.found(u.stream, "version %d cannot be read: %v", r.Version, err)
		return false
	}
	switch {
	case r.Type != "UserCreated" && r.Type != "UserContactAdded":
		u.found(u.stream, "version %d is a %q, which no user has", r.Version, r.Type)
		return true
	case (r.Type == "UserCreated") != (r.Version == 1):
		u.found(u.stream, "version %d, %s: a user is created once, by the first record", r.Version, r.Type)
	case userPrefix+e.UserID != u.stream:
		u.found(u.stream, "version %d is about the user %q", r.Version, e.UserID)
	case r.Version > 1 && e.OrgID != u.org:
		u.found(u.stream, "version %d belongs to the organisation %q, and the user to %q", r.Version, e.OrgID, u.org)
	case u.email != "" && e.Email != "" || u.phone != "" && e.Phone != "":
		u.found(u.stream, "version %d gives the user another address", r.Version)
	}
	u.org, u.email, u.phone = e.OrgID, u.email+e.Email, u.phone+e.Phone
	u.knownBy(r, "user-email", e.OrgID, e.Email)
	u.knownBy(r, "user-phone", e.OrgID, e.Phone)
	return true
}

// knownBy notes the claim of an address, which holds its hash.
func (u *userReplay) knownBy(r *journal.Record, kind, org, address string) {
	if address != "" {
		hash := sha256.Sum256([]byte(org + "\x00" + address))
		u.claims(r, kind, hex.EncodeToString(hash[:]))
	}
}

func (u *userReplay) snapshot(s *journal.Snapshot) {
	u.found(u.stream, "has a snapshot of version %d, which no user has", s.Version)
}
