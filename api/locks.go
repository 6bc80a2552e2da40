package api

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/latchkey/latchkey/lock"
)

// CreateLock creates a lock: 201, or 200 when the same lock is there already.
func (s *server) CreateLock(w http.ResponseWriter, r *http.Request, id LockId) {
	var body CreateLockRequest
	lockID, done, err := s.run(w, r, id, &body, func(id lock.ID) (lock.Command, error) {
		uuid, err := lock.ParseUUID(body.Uuid)
		if err != nil {
			return nil, err
		}
		c := &lock.CreateLock{
			By: callerOf(r), ID: id, UUID: uuid, Index: body.Index, SerialNumber: body.SerialNumber,
			VendorName: body.VendorName, OwnerID: lock.UserID(body.OwnerId),
		}
		for _, k := range body.Keys {
			c.Keys = append(c.Keys, lock.Key{UUID: k.Uuid, IndexNumber: k.IndexNumber, UserID: lock.UserID(k.UserId)})
		}
		return c, nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	status := http.StatusOK
	if done.Event != nil {
		status = http.StatusCreated
	}
	result := commandResult(lockID, done.Version, done.Event)
	s.write(w, r, status, &result)
}

// SetOwner gives the lock to a user, or takes it from its owner: that is null, and not an empty text, which is a form that was not filled in.
func (s *server) SetOwner(w http.ResponseWriter, r *http.Request, id LockId) {
	var body SetOwnerRequest
	s.command(w, r, id, &body, func(lock.ID) (lock.Command, error) {
		c := &lock.SetOwner{By: callerOf(r)}
		if user := body.UserId.value; user != nil {
			if c.UserID = lock.UserID(*user); c.UserID == "" {
				return nil, badRequest("user-id-invalid", "userId", "userId must name a user, or be null for no owner")
			}
		}
		return c, nil
	})
}

// SetOrganization gives the lock to an organisation.
func (s *server) SetOrganization(w http.ResponseWriter, r *http.Request, id LockId) {
	var body SetOrganizationRequest
	s.command(w, r, id, &body, func(lock.ID) (lock.Command, error) {
		c := &lock.SetOrganization{By: callerOf(r), OrgID: lock.OrgID(body.OrgId)}
		_, err := s.APIKeys.Organization(r.Context(), c.OrgID)
		var rejection *lock.Error
		if errors.As(err, &rejection) && rejection.Kind == lock.NotFound {
			c.Unknown, err = true, nil
		}
		return c, err
	})
}

// ChangeLockUuid gives the lock another device.
func (s *server) ChangeLockUuid(w http.ResponseWriter, r *http.Request, id LockId) {
	var body ChangeLockUuidRequest
	lockID, done, err := s.run(w, r, id, &body, func(lock.ID) (lock.Command, error) {
		return &lock.ChangeLockUUID{By: callerOf(r), NewUUID: lock.UUID(body.NewUuid)}, nil
	})
	if err != nil {
		s.fail(w, r, renamed(err, "uuid", "newUuid"))
		return
	}
	result := commandResult(lockID, done.Version, done.Event)
	s.write(w, r, http.StatusOK, &result)
}

// SetConfig says how the lock's device should be set up.
func (s *server) SetConfig(w http.ResponseWriter, r *http.Request, id LockId) {
	var body SetConfigRequest
	s.command(w, r, id, &body, func(lock.ID) (lock.Command, error) {
		return &lock.SetConfig{By: callerOf(r), RelockMs: body.RelockMs}, nil
	})
}

// maxGraceSeconds keeps the number within a time.Duration; the kernel has the real bound.
const maxGraceSeconds = 1 << 31

// RotateDeviceSecret makes the device a new secret. The lock keeps its hash only.
func (s *server) RotateDeviceSecret(w http.ResponseWriter, r *http.Request, id LockId) {
	lockID, err := lock.ParseID(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	body := RotateDeviceSecretRequest{GraceSeconds: int64(secretGrace / time.Second)}
	if err := s.readOptionalBody(w, r, &body); err != nil {
		s.fail(w, r, err)
		return
	}
	secret := rand.Text() + rand.Text() // 260 bits
	hash := sha256.Sum256([]byte(secret))
	grace := time.Duration(max(-1, min(body.GraceSeconds, maxGraceSeconds))) * time.Second
	done, err := ask[*lock.Done](r.Context(), s, lockID, &lock.RotateDeviceSecret{By: callerOf(r), Hash: hash[:], Grace: grace})
	if err == nil && done.Replayed {
		err = errToldBefore
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, http.StatusOK, &RotateDeviceSecretResult{commandResult(lockID, done.Version, done.Event), secret})
}
