package lock

import "time"

// useTempKey counts a use that happened without an open of ours, as a platform tells it. The terms of the key hold for it
// as they do for an open.
func (s *State) useTempKey(c *UseTempKey, now time.Time) (Decision, error) {
	if err := s.see(c.By); err != nil {
		return Decision{}, err
	}
	if !isOptional(string(c.UserID)) {
		return Decision{}, invalid("userId", "user-id-invalid", "userId must be a name of up to 800 bytes, without control characters")
	}
	k := s.TempKeys.find(c.TempKeyID)
	if k == nil {
		return Decision{}, noTempKey()
	}
	if !k.mayUse(c.UserID) {
		return Decision{}, invalid("userId", "temp-key-not-for-user", "This key is for certain users only. Name the one who used it.")
	}
	switch k.Status(now) {
	case StatusExpired:
		return Decision{}, invalid("tempKeyUuid", "temp-key-expired", "This key is not valid any more.")
	case StatusUsedUp:
		return Decision{}, invalid("tempKeyUuid", "temp-key-used-up", "This key has been used as often as it may be.")
	case StatusNotYetValid:
		return Decision{}, invalid("tempKeyUuid", "temp-key-not-yet-valid", "This key is not valid yet.")
	}
	return s.done(&TempKeyUsed{
		Stamp: s.stampBy(c.By, now), TempKeyID: k.UUID, UserID: c.UserID, UsedCount: k.UsedCount + 1,
	})
}
