package api

import (
	"net/http"
	"strconv"

	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/lock"
)

// Door is one door of a collective key.
type Door struct {
	ID           int64             `json:"id"`
	LockID       string            `json:"lockId"`
	LockUUID     lock.UUID         `json:"lockUuid"`
	Label        *string           `json:"label"`
	AccessMethod collective.Access `json:"accessMethod"`
	TempKeyUUID  lock.TempKeyID    `json:"tempKeyUuid"`
}

// CreateCollectiveKeyResult tells of a new collective key.
type CreateCollectiveKeyResult struct {
	Success    bool           `json:"success"`
	UUID       lock.TempKeyID `json:"uuid"`
	URL        string         `json:"url"`
	ValidFrom  string         `json:"validFrom"`
	ValidUntil string         `json:"validUntil"`
	Doors      []Door         `json:"doors"`
	PIN        *string        `json:"pin"`
}

// CollectiveKey is a collective key in a list.
type CollectiveKey struct {
	UUID        lock.TempKeyID `json:"uuid"`
	URL         string         `json:"url"`
	ValidFrom   string         `json:"validFrom"`
	ValidUntil  string         `json:"validUntil"`
	Description *string        `json:"description"`
	CreatedBy   string         `json:"createdBy"`
	CreatedAt   string         `json:"createdAt"`
	RevokedAt   *string        `json:"revokedAt"`
	Doors       []Door         `json:"doors"`
}

// CollectiveKeyList is a page of collective keys.
type CollectiveKeyList struct {
	TempKeys   []CollectiveKey `json:"tempKeys"`
	NextCursor string          `json:"nextCursor,omitempty"`
}

// RevokeResult answers a revocation.
type RevokeResult struct {
	Success bool `json:"success"`
}

const (
	maxCollective = 500     // on a page
	allCollective = 100_000 // in a list without pages
)

// orNull is nil for a text that is empty.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func doorsOf(k *collective.Key) []Door {
	doors := make([]Door, len(k.Doors))
	for i, d := range k.Doors {
		doors[i] = Door{
			ID: d.Number, LockID: d.LockID.String(), LockUUID: d.LockUUID, Label: orNull(d.Label), AccessMethod: d.Access, TempKeyUUID: d.TempKeyID,
		}
	}
	return doors
}

// CreateCollectiveKey creates a key for several doors.
func (s *server) CreateCollectiveKey(w http.ResponseWriter, r *http.Request) {
	var body CreateCollectiveKeyRequest
	if err := s.readBody(w, r, &body); err != nil {
		s.fail(w, r, err)
		return
	}
	c := collective.Create{By: callerOf(r), ValidFrom: body.ValidFrom.Time, ValidUntil: body.ValidUntil.Time, Description: body.Description}
	for i, d := range body.Doors {
		id, err := lock.ParseID(d.LockId)
		if err != nil {
			s.fail(w, r, badRequest("lock-id-invalid", "doors["+strconv.Itoa(i)+"].lockId", "lockId must be the number of a lock, in decimal without leading zeros"))
			return
		}
		if d.AccessMethod == "" {
			d.AccessMethod = collective.ByKey
		}
		c.Doors = append(c.Doors, collective.NewDoor{LockID: id, Label: d.Label, Access: d.AccessMethod})
	}
	k, err := s.Collective.Create(underOwnName(r), c)
	if err == nil && k.PIN == "" && k.HasPIN {
		err = toldBefore("The guest's page, at the url, shows the PIN.", Told{UUID: k.UUID, URL: s.link(r, k.UUID)})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, http.StatusCreated, &CreateCollectiveKeyResult{
		Success: true, UUID: k.UUID, URL: s.link(r, k.UUID), ValidFrom: lock.Instant(k.ValidFrom), ValidUntil: lock.Instant(k.ValidUntil),
		Doors: doorsOf(k), PIN: orNull(k.PIN),
	})
}

// CreateCollectiveTempKey is CreateCollectiveKey at its other address.
func (s *server) CreateCollectiveTempKey(w http.ResponseWriter, r *http.Request) {
	s.CreateCollectiveKey(w, r)
}

// ListCollectiveKeys lists the caller's keys for several doors.
func (s *server) ListCollectiveKeys(w http.ResponseWriter, r *http.Request, params ListCollectiveKeysParams) {
	of, err := lockFilter(params.LockId)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	atMost := maxScanned
	if params.Limit == "" {
		atMost = allCollective // they do not look for a second page
	}
	limit, err := limitOf(params.Limit, maxCollective, allCollective)
	var after string
	if err == nil {
		after, err = afterCursor(params.Cursor)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	page, err := s.Collective.List(r.Context(), callerOf(r), of, after, limit, atMost)
	s.owe(r, page.Looked/scanPerToken)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := CollectiveKeyList{TempKeys: make([]CollectiveKey, len(page.Keys)), NextCursor: cursorTo(page.Next)}
	for i, k := range page.Keys {
		list.TempKeys[i] = CollectiveKey{
			UUID: k.UUID, URL: s.link(r, k.UUID), ValidFrom: lock.Instant(k.ValidFrom), ValidUntil: lock.Instant(k.ValidUntil),
			Description: orNull(k.Description), CreatedBy: k.Owner.Name(), CreatedAt: lock.Instant(k.CreatedAt), Doors: doorsOf(k),
		}
		if k.RevokedAt != nil {
			list.TempKeys[i].RevokedAt = orNull(lock.Instant(*k.RevokedAt))
		}
	}
	s.write(w, r, http.StatusOK, &list)
}

// RevokeCollectiveKey revokes a key for several doors, or deletes a temporary key of one lock.
func (s *server) RevokeCollectiveKey(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid) {
	if err := s.readOptionalBody(w, r, new(struct{})); err != nil {
		s.fail(w, r, err)
		return
	}
	key, err := lock.ParseTempKeyID(uuid)
	if err != nil {
		s.fail(w, r, errNoTempKey)
		return
	}
	id, err := s.Locks.FindTempKey(r.Context(), key)
	switch {
	case err != nil:
	case id != 0:
		_, err = s.Locks.Do(r.Context(), id, &lock.DeleteTempKey{By: callerOf(r), TempKeyID: key})
		if isNotFound(err, "lock-not-found") {
			err = errNoTempKey // as of a key that nobody has
		}
	default:
		err = s.Collective.Revoke(r.Context(), callerOf(r), key)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, http.StatusOK, &RevokeResult{true})
}

// RevokeCollectiveTempKey is RevokeCollectiveKey at its other address.
func (s *server) RevokeCollectiveTempKey(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid) {
	s.RevokeCollectiveKey(w, r, uuid)
}
