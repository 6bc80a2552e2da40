package lock

import (
	"slices"
	"time"
)

func (s *State) getLock(c *GetLock) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	return Decision{Reply: &Info{
		ID: s.ID, UUID: s.UUID, Version: s.Version, SerialNumber: s.SerialNumber, VendorName: s.VendorName,
		OwnerID: s.OwnerID, OrgID: s.OrgID, EventsAfter: s.eventsAfter(c.By), Keys: append([]Key(nil), s.Keys...), Residents: append([]Resident(nil), s.Residents...),
		CreatedAt: s.CreatedAt, ChangedAt: s.ChangedAt, Reported: s.reported(), Online: s.Device.Connected,
		Config: s.Config, Firmware: s.Device.Firmware, DeadlineEnforced: s.Device.Connected && s.Device.Deadline,
	}}, nil
}

// reported is what the device last told, by its newest Hello if it is connected. The journal keeps its own words; guests
// are shown those of the protocol only, or a device could put any text on their page.
func (s *State) reported() Reported {
	r := s.Reported
	if s.Device.Connected {
		live := s.Device.Reported
		if live.Bolt != "" {
			r.Bolt = live.Bolt
		}
		if live.Door != "" {
			r.Door = live.Door
		}
		if live.Battery != 0 {
			r.Battery = live.Battery
		}
		if live.Config != 0 {
			r.Config = live.Config
		}
	}
	r.Bolt = oneOf(r.Bolt, "locked", "unlocked", "jammed")
	r.Door = oneOf(r.Door, "open", "closed")
	return r
}

// oneOf is the word if it is one of those that are known, and otherwise none.
func oneOf(word string, known ...string) string {
	if slices.Contains(known, word) {
		return word
	}
	return ""
}

func (s *State) getTempKey(c *GetTempKey, now time.Time) (Decision, error) {
	info := &TempKeyInfo{ID: s.ID, UUID: s.UUID, SerialNumber: s.SerialNumber, VendorName: s.VendorName}
	if r := s.Requests.find(c.RequestID); r != nil && r.TempKeyID == c.TempKeyID {
		info.Open = s.openResult(r)
	}
	k := s.TempKeys.find(c.TempKeyID)
	switch {
	case k != nil:
		info.Key, info.Online, info.Reported = k.view(now), s.Device.Connected, s.reported()
		if r := s.onItsWay(k); r != nil && c.RequestID == "" {
			info.Open = s.openResult(r)
		}
	case info.Open != nil && c.TempKeyID != "":
		// Who tapped is told the outcome even if the key is gone since, and nothing else of the lock any more.
		info.Deleted, info.Key = true, TempKeyView{TempKey: TempKey{UUID: c.TempKeyID}, Status: StatusExpired}
	default:
		return Decision{}, noTempKey()
	}
	return Decision{Reply: info}, nil
}

// onItsWay is the newest open with a key that whoever has its link may use, if it has one without an answer: who comes back to the
// key's page should wait for that, and not ask again.
func (s *State) onItsWay(k *TempKey) *request {
	for _, cmd := range slices.Backward(s.Commands) {
		if cmd.Outcome == Unknown || !k.ForAnyone() {
			continue
		}
		for _, r := range slices.Backward(cmd.Requests) {
			if r.TempKeyID == k.UUID {
				return r
			}
		}
	}
	return nil
}

// OpenResult tells what is known of a request to open; ok is false when it is not remembered.
func (s *State) OpenResult(id RequestID) (result *OpenResult, ok bool) {
	r := s.Requests.find(id)
	if r == nil {
		return nil, false
	}
	return s.openResult(r), true
}

func (s *State) openResult(r *request) *OpenResult {
	event := &LockOpenRequested{
		Stamp:     Stamp{At: r.At, LockUUID: s.UUID, OrgID: r.OrgID, By: r.By},
		RequestID: r.ID, CommandID: r.CommandID, TempKeyID: r.TempKeyID, UserID: r.UserID, Reason: r.Why,
		Joined: r.Joined, Held: r.Offline, Deadline: r.Deadline,
	}
	result := &OpenResult{
		Version: r.Version, RequestID: r.ID, CommandID: r.CommandID, Event: event, TempKeyID: r.TempKeyID,
		Outcome: r.Outcome, Reason: r.Reason, Message: r.Message, Offline: r.Offline, UseReturned: r.UseReturned,
		DeadlineEnforced: r.DeadlineEnforced, At: r.At, Deadline: r.Deadline,
		Final: r.Outcome.Final() && (r.Outcome != Unknown || s.command(r.CommandID) == nil),
	}
	if r.Outcome == Reserved {
		result.Reason, result.Message = "device-offline", "The lock is not connected. It opens if it comes back before the deadline."
	}
	return result
}
