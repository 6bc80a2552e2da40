package api

import (
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/lock"
)

// CreateTempKey creates a temporary key, under the caller's UUID or a random one.
func (s *server) CreateTempKey(w http.ResponseWriter, r *http.Request, id LockId) {
	var body CreateTempKeyRequest
	var key lock.TempKeyID
	lockID, done, err := s.run(w, r, id, &body, func(lock.ID) (lock.Command, error) {
		c, err := createTempKey(callerOf(r), &body)
		key = c.UUID
		return &c, err
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if created, ok := done.Event.(*lock.TempKeyCreated); ok {
		key = created.Key.UUID // that of the first request with this name
	}
	s.write(w, r, http.StatusOK, &CreateTempKeyResult{commandResult(lockID, done.Version, done.Event), key, s.link(r, key)})
}

// UpdateTempKey changes what the body names.
func (s *server) UpdateTempKey(w http.ResponseWriter, r *http.Request, id LockId) {
	var body UpdateTempKeyRequest
	s.command(w, r, id, &body, func(lock.ID) (lock.Command, error) {
		c, err := updateTempKey(callerOf(r), &body)
		return &c, err
	})
}

// createTempKey reads a key that is to be created. Without a UUID it gets a random one.
func createTempKey(by lock.Caller, body *CreateTempKeyRequest) (c lock.CreateTempKey, err error) {
	if body.TempKeyUuid == nil {
		made := uuid.NewString()
		body.TempKeyUuid = &made
	}
	key, err := lock.ParseTempKeyID(*body.TempKeyUuid)
	if err != nil {
		return c, err
	}
	schedule, err := readSchedule(body.Schedule.value)
	return lock.CreateTempKey{
		By: by, UUID: key, AccessMode: body.AccessMode, AllowedUserIDs: userIDs(body.AllowedUserIds),
		ValidFrom: body.ValidFrom.Time, ValidUntil: body.ValidUntil.Time, MaxUses: body.MaxUses.limit, Description: body.Description,
		Schedule: schedule, GraceBeforeSeconds: body.GraceBeforeSeconds, GraceAfterSeconds: body.GraceAfterSeconds,
	}, err
}

// updateTempKey reads an update.
func updateTempKey(by lock.Caller, body *UpdateTempKeyRequest) (c lock.UpdateTempKey, err error) {
	key, err := lock.ParseTempKeyID(body.TempKeyUuid)
	if err != nil {
		return c, err
	}
	changes, err := changesOf(body)
	return lock.UpdateTempKey{By: by, TempKeyID: key, Changes: changes}, err
}

// changesOf reads what an update names.
func changesOf(body *UpdateTempKeyRequest) (c lock.Changes, err error) {
	if body.ValidFrom != nil {
		c.ValidFrom = &body.ValidFrom.Time
	}
	if body.ValidUntil != nil {
		c.ValidUntil = &body.ValidUntil.Time
	}
	if body.MaxUses.named {
		c.MaxUses = &lock.MaxUses{Limit: body.MaxUses.limit}
	}
	if body.AllowedUserIds != nil {
		users := userIDs(*body.AllowedUserIds)
		c.AllowedUserIDs = &users
	}
	if body.Description.named {
		if c.Description = body.Description.value; c.Description == nil {
			c.Description = new(string)
		}
	}
	if body.Schedule.named {
		c.Schedule = new(lock.ScheduleChange)
		c.Schedule.Schedule, err = readSchedule(body.Schedule.value)
	}
	c.AccessMode, c.GraceBeforeSeconds, c.GraceAfterSeconds = body.AccessMode, body.GraceBeforeSeconds, body.GraceAfterSeconds
	return c, err
}

// DeleteTempKey revokes a key.
func (s *server) DeleteTempKey(w http.ResponseWriter, r *http.Request, id LockId) {
	var body DeleteTempKeyRequest
	s.command(w, r, id, &body, func(lock.ID) (lock.Command, error) {
		key, err := lock.ParseTempKeyID(body.TempKeyUuid)
		return &lock.DeleteTempKey{By: callerOf(r), TempKeyID: key}, err
	})
}

// UseTempKey counts a use that the lock has had no part in.
func (s *server) UseTempKey(w http.ResponseWriter, r *http.Request, id LockId) {
	var body UseTempKeyRequest
	s.command(w, r, id, &body, func(lock.ID) (lock.Command, error) {
		key, err := lock.ParseTempKeyID(body.TempKeyUuid)
		return &lock.UseTempKey{By: callerOf(r), TempKeyID: key, UserID: lock.UserID(body.UserId)}, err
	})
}

func userIDs(users []string) []lock.UserID {
	ids := make([]lock.UserID, len(users))
	for i, u := range users {
		ids[i] = lock.UserID(u)
	}
	return ids
}

// link is the address of a key's page, as a guest can use it.
func (s *server) link(r *http.Request, key lock.TempKeyID) string {
	u := url.URL{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	if s.publicURL != nil {
		u = *s.publicURL
	}
	return u.JoinPath("temp-keys").String() + "/" + string(key)
}
