package api

import (
	"net/http"
	"strconv"

	"github.com/latchkey/latchkey/lock"
)

func (s *server) info(r *http.Request, id string) (*lock.Info, error) {
	lockID, err := lock.ParseID(id)
	if err != nil {
		return nil, err
	}
	return ask[*lock.Info](r.Context(), s, lockID, &lock.GetLock{By: callerOf(r)})
}

// GetBasicInfo tells what the lock is.
func (s *server) GetBasicInfo(w http.ResponseWriter, r *http.Request, id LockId) {
	i, err := s.info(r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, http.StatusOK, &BasicInfo{
		Id: i.ID.String(), LockId: int64(i.ID), Uuid: string(i.UUID), Version: int64(i.Version), SerialNumber: i.SerialNumber,
		VendorName: i.VendorName, OwnerId: string(i.OwnerID), OrgId: string(i.OrgID), OrganizationId: string(i.OrgID),
		R2Prefix: streamOf(i.ID), Online: i.Online,
	})
}

// GetDetails tells all about the lock.
func (s *server) GetDetails(w http.ResponseWriter, r *http.Request, id LockId) {
	i, err := s.info(r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer := Details{
		Id: i.ID.String(), LockId: int64(i.ID), Uuid: string(i.UUID), Version: int64(i.Version), SerialNumber: i.SerialNumber,
		VendorName: i.VendorName, OwnerId: string(i.OwnerID), OrgId: string(i.OrgID), OrganizationId: string(i.OrgID),
		R2Prefix: streamOf(i.ID), CreatedAt: lock.Instant(i.CreatedAt), Timestamp: lock.Instant(i.ChangedAt),
		Keys: make([]StoredKey, len(i.Keys)), Residents: make([]Resident, len(i.Residents)),
		Device: Device{
			Online: i.Online, DeadlineEnforced: i.DeadlineEnforced, Firmware: i.Firmware,
			Bolt: i.Reported.Bolt, Door: i.Reported.Door, Battery: i.Reported.Battery,
		},
	}
	for n, k := range i.Keys {
		answer.Keys[n] = StoredKey{
			Uuid: k.UUID, IndexNumber: k.IndexNumber, UserId: string(k.UserID), OnDevice: onDevice(k.OnDevice, lock.ActionAddKey),
		}
	}
	if i.Config.Number != 0 {
		answer.Config = &Config{
			Number: int64(i.Config.Number), RelockMs: i.Config.RelockMs, Applied: i.Reported.Config == i.Config.Number,
		}
	}
	for n, p := range i.Residents {
		answer.Residents[n] = Resident{UserId: string(p.UserID), Name: p.Name, Email: p.Email}
	}
	s.write(w, r, http.StatusOK, &answer)
}

// streamOf is the name of the lock's stream in the journal.
func streamOf(id lock.ID) string { return "lock/" + id.String() }

const (
	eventsPerPage = 100
	maxPage       = int64(lock.MaxID) / eventsPerPage
)

// ListEvents shows a page of the lock's events.
func (s *server) ListEvents(w http.ResponseWriter, r *http.Request, id LockId, params ListEventsParams) {
	page := int64(1)
	if params.Page != "" {
		var err error
		if page, err = strconv.ParseInt(params.Page, 10, 64); err != nil || page < 1 || page > maxPage {
			s.fail(w, r, badRequest("page-invalid", "page", "page must be a whole number of 1 or more"))
			return
		}
	}
	i, err := s.info(r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	first := i.EventsAfter + uint64(page-1)*eventsPerPage
	events, stored, err := s.Locks.Events(r.Context(), i.ID, first, eventsPerPage)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	total := stored - min(stored, i.EventsAfter)
	answer := EventPage{
		AggregateId: i.ID.String(), TotalEvents: int64(total), Page: page, PageSize: eventsPerPage,
		TotalPages: int64(total+eventsPerPage-1) / eventsPerPage,
	}
	s.writeEventPage(w, r, i.ID, &answer, events, min(first+eventsPerPage, stored))
}

// eventRecord is an event as a caller sees it.
func eventRecord(c lock.Caller, id lock.ID, e Event) EventRecord {
	typ, data := lock.PublicEvent(id, e.Event)
	record := EventRecord{AggregateType: "lock", AggregateId: id.String(), Version: int64(e.Version), Type: typ, Event: data}
	if stamped, ok := e.Event.(interface{ EventStamp() lock.Stamp }); ok {
		stamp := stamped.EventStamp()
		record.Timestamp, record.OrgId = lock.Instant(stamp.At), string(stamp.OrgID)
		record.By, record.ByType = stamp.By, stamp.ByType()
		if c.Super {
			record.Via, record.From = stamp.Via, stamp.From
		} else {
			record.Via, record.From = lock.OriginOf(e.Event, c.OrgID)
		}
	}
	return record
}
