package api

import (
	"cmp"
	"net/http"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/lock"
)

// KeyChange tells what became of a permanent key.
type KeyChange struct {
	CommandResult
	OnDevice  string         `json:"onDevice"`
	CommandID lock.CommandID `json:"commandId,omitempty"`
}

// BulkAddKeysResult names a job.
type BulkAddKeysResult struct {
	Success    bool       `json:"success"`
	LockID     lock.ID    `json:"lockId"`
	InstanceID lock.JobID `json:"instanceId"`
}

// BulkProgress tells how far a job has come.
type BulkProgress struct {
	LockID     lock.ID    `json:"lockId"`
	InstanceID lock.JobID `json:"instanceId"`
	Status     string     `json:"status"`
	Total      int        `json:"total"`
	Done       int        `json:"done"`
	Failed     int        `json:"failed"`
	StartedAt  string     `json:"startedAt"`
	Timestamp  string     `json:"timestamp"`
	Keys       []BulkKey  `json:"keys"`
}

// BulkKey is one key of a job.
type BulkKey struct {
	KeyUUID        string          `json:"keyUuid"`
	KeyIndexNumber *int64          `json:"keyIndexNumber,omitempty"`
	UserID         lock.UserID     `json:"userId,omitempty"`
	Status         lock.BulkStatus `json:"status"`
	Reason         string          `json:"reason,omitempty"`
}

func (k *NewKey) key() lock.Key {
	return lock.Key{UUID: k.KeyUuid, IndexNumber: k.KeyIndexNumber, UserID: lock.UserID(k.UserId)}
}

// AddKey adds a permanent key, to the device first if it keeps keys.
func (s *server) AddKey(w http.ResponseWriter, r *http.Request, id LockId) {
	var body AddKeyRequest
	s.changeKey(w, r, id, &body, func(command lock.CommandID) lock.Command {
		return &lock.AddKey{By: callerOf(r), Key: body.key(), CommandID: command}
	})
}

// RemoveKey removes a permanent key, from the device first if it may have it.
func (s *server) RemoveKey(w http.ResponseWriter, r *http.Request, id LockId) {
	var body RemoveKeyRequest
	s.changeKey(w, r, id, &body, func(command lock.CommandID) lock.Command {
		return &lock.RemoveKey{By: callerOf(r), KeyUUID: body.KeyUuid, IndexNumber: body.KeyIndexNumber, CommandID: command}
	})
}

// WriteKey has the device write a key of the list into its table.
func (s *server) WriteKey(w http.ResponseWriter, r *http.Request, id LockId) {
	var body WriteKeyRequest
	s.changeKey(w, r, id, &body, func(command lock.CommandID) lock.Command {
		return &lock.WriteKey{By: callerOf(r), KeyUUID: body.KeyUuid, IndexNumber: body.KeyIndexNumber, CommandID: command}
	})
}

// changeKey carries out a command about a permanent key. Only what is certain to be so is a success.
func (s *server) changeKey(w http.ResponseWriter, r *http.Request, id string, body any, make func(lock.CommandID) lock.Command) {
	lockID, result, err := runFor[*lock.KeyResult](s, w, r, id, body, func(lock.ID) (lock.Command, error) {
		return make(lock.CommandID(newName())), nil
	})
	if err == nil {
		err = notConfirmed(result)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, http.StatusOK, &KeyChange{
		CommandResult: commandResult(lockID, result.Version, result.Event), OnDevice: onDevice(result.Key.OnDevice, result.Action),
		CommandID: result.CommandID,
	})
}

// notConfirmed is why a change of a key is no success.
func notConfirmed(r *lock.KeyResult) error {
	switch r.Outcome {
	case lock.Confirmed:
		return nil
	case lock.Refused, lock.Expired:
		return &problem{status: http.StatusBadGateway, reason: r.Reason, message: cmp.Or(r.Message, "The lock did not do it. Nothing was changed.")}
	default:
		return &problem{
			status: http.StatusGatewayTimeout, reason: "outcome-unknown",
			message: "The lock was told and has not answered; it may have obeyed. It is asked when it is back. Send the same request again to make sure.",
		}
	}
}

// onDevice says what the device has. A key that was removed is in no device.
func onDevice(p lock.Presence, action lock.KeyAction) string {
	if p == "" || action == lock.ActionRemoveKey {
		return "no"
	}
	return string(p)
}

// BulkAddKeys starts a job that adds keys.
func (s *server) BulkAddKeys(w http.ResponseWriter, r *http.Request, id LockId) {
	var body BulkAddKeysRequest
	job := lock.JobID(uuid.NewString())
	lockID, done, err := s.run(w, r, id, &body, func(lock.ID) (lock.Command, error) {
		c := &lock.BulkAddKeys{By: callerOf(r), Job: job, Keys: make([]lock.Key, len(body.Keys))}
		for i := range body.Keys {
			c.Keys[i] = body.Keys[i].key()
		}
		return c, nil
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if started, ok := done.Event.(*lock.BulkAddStarted); ok {
		job = started.Job // that of the first request with this name
	}
	s.write(w, r, http.StatusOK, &BulkAddKeysResult{Success: true, LockID: lockID, InstanceID: job})
}

// GetBulkAddKeys tells how far a job has come.
func (s *server) GetBulkAddKeys(w http.ResponseWriter, r *http.Request, id LockId, instanceID string) {
	lockID, err := lock.ParseID(id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	p, err := ask[*lock.BulkProgress](r.Context(), s, lockID, &lock.GetBulkAddKeys{By: callerOf(r), Job: lock.JobID(instanceID)})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer := BulkProgress{
		LockID: lockID, InstanceID: p.ID, Status: "running", Total: len(p.Keys), StartedAt: lock.Instant(p.StartedAt),
		Timestamp: lock.Instant(p.ChangedAt), Keys: make([]BulkKey, len(p.Keys)),
	}
	switch {
	case p.Ended:
		answer.Status = "ended"
	case p.Waiting:
		answer.Status = "waiting"
	}
	for i, k := range p.Keys {
		answer.Keys[i] = BulkKey{KeyUUID: k.Key.UUID, KeyIndexNumber: k.Key.IndexNumber, UserID: k.Key.UserID, Status: k.Status, Reason: k.Reason}
		if k.Status != lock.BulkPending {
			answer.Done++
		}
		if k.Status == lock.BulkFailed {
			answer.Failed++
		}
	}
	s.write(w, r, http.StatusOK, &answer)
}
