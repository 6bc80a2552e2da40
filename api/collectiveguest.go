package api

import (
	"errors"
	"net/http"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/api/pages"
	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/lock"
)

// maxDoorsAbreast is how many locks are asked at the same time for the page of a key.
const maxDoorsAbreast = 16

var errNoDoor = &lock.Error{Kind: lock.NotFound, Reason: "door-not-found", Message: "The key has no such door. Go back to the key's page and choose one."}

// showCollective shows the page of a key for several doors.
func (s *server) showCollective(w http.ResponseWriter, r *http.Request, key *collective.Key) {
	page := &pages.Collective{Key: key, Now: s.Now(), Doors: make([]pages.CollectiveDoor, len(key.Doors))}
	var group errgroup.Group
	group.SetLimit(maxDoorsAbreast)
	for i := range key.Doors {
		group.Go(func() error {
			d := pages.CollectiveDoor{Door: key.Doors[i], RequestID: newName()}
			if page.CanOpen() {
				// A lock that cannot be asked takes nothing away from the other doors.
				var err error
				d.Info, err = ask[*lock.TempKeyInfo](r.Context(), s, d.LockID, &lock.GetTempKey{TempKeyID: d.TempKeyID})
				d.Gone = isNotFound(err, errNoTempKey.Reason)
			}
			page.Doors[i] = d
			return nil
		})
	}
	_ = group.Wait()
	s.writePage(w, r, http.StatusOK, page)
}

// ShowCollectiveKey is ShowTempKey at its other address.
func (s *server) ShowCollectiveKey(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid) {
	s.ShowTempKey(w, r, uuid)
}

// ShowCollectiveConfirmation is ShowConfirmation at its other address.
func (s *server) ShowCollectiveConfirmation(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid, params ShowCollectiveConfirmationParams) {
	s.ShowConfirmation(w, r, uuid, ShowConfirmationParams(params))
}

// OpenDoor opens one door of a key for a guest.
func (s *server) OpenDoor(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid, doorID DoorId, params OpenDoorParams) {
	s.openForGuest(w, r, uuid, doorID, params.IdempotencyKey)
}

// OpenCollectiveDoor is OpenDoor at its other address.
func (s *server) OpenCollectiveDoor(w http.ResponseWriter, r *http.Request, uuid TempKeyUuid, doorID DoorId, params OpenCollectiveDoorParams) {
	s.openForGuest(w, r, uuid, doorID, params.IdempotencyKey)
}

// place is where a guest's key opens: a lock, and the temporary key that it knows. For a key for several doors that is one of them.
type place struct {
	lock lock.ID
	key  lock.TempKeyID
	door int64  // 0: the key has one door
	name string // what guests call the door; may be empty
	over bool   // the key was revoked, with all its doors
}

// missing is the error of a lock that was asked about the place. A key that goes on without a door, which whose lock it is since took
// off it, is not gone.
func (p place) missing(err error) error {
	if p.door != 0 && !p.over && isNotFound(err, errNoTempKey.Reason) {
		return errNoDoor
	}
	return err
}

// placeOf finds what a key and the number of a door stand for. Without a number it is the first door.
func (s *server) placeOf(r *http.Request, key lock.TempKeyID, door string) (place, error) {
	number := int64(1)
	if door != "" {
		var err error
		if number, err = strconv.ParseInt(door, 10, 64); err != nil || number < 1 || strconv.FormatInt(number, 10) != door {
			return place{}, badRequest("door-invalid", "door", "the door must be a whole number, from 1 on, without leading zeros")
		}
	}
	id, err := s.Locks.FindTempKey(r.Context(), key)
	switch {
	case err != nil:
		return place{}, err
	case id != 0 && number == 1:
		return place{lock: id, key: key}, nil
	case id != 0:
		return place{}, errNoDoor
	}
	k, err := s.collectiveKey(r, key)
	if err != nil {
		return place{}, err
	}
	d := k.Door(number)
	if d == nil {
		return place{}, errNoDoor
	}
	return place{lock: d.LockID, key: d.TempKeyID, door: number, name: d.Label, over: k.RevokedAt != nil}, nil
}

func (s *server) collectiveKey(r *http.Request, key lock.TempKeyID) (*collective.Key, error) {
	k, err := s.Collective.Get(r.Context(), key)
	var rejection *lock.Error
	if errors.As(err, &rejection) && rejection.Kind == lock.NotFound {
		return nil, errNoTempKey
	}
	return k, err
}
