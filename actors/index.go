package actors

import (
	"strings"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// The journal's index rows of locks. Claims are for ever, so that a UUID never names two things. That of a temporary key has to be
// new: a lock forgets the keys that were deleted, and a late create-temp-key must not bring one of them back.
const (
	claimDevice  = "device"              // by the UUID of the device
	claimTempKey = "temp-key"            // by the UUID of the temporary key
	byCreator    = "temp-key-by-creator" // by who created the temporary key; refs are the keys that were not deleted
)

// Stream is the name of a lock's stream.
func Stream(id lock.ID) string { return Kind + "/" + id.String() }

// lockOf is the inverse of Stream.
func lockOf(stream string) (lock.ID, error) {
	return lock.ParseID(strings.TrimPrefix(stream, Kind+"/"))
}

// indexed gives the index rows of an event that is about to change the state.
func indexed(s *lock.State, e lock.Event) []journal.IndexChange {
	switch e := e.(type) {
	case *lock.LockCreated:
		return []journal.IndexChange{{Op: journal.Claim, Kind: claimDevice, Key: string(e.LockUUID)}}
	case *lock.LockUuidChanged:
		return []journal.IndexChange{{Op: journal.Claim, Kind: claimDevice, Key: string(e.NewUUID)}}
	case *lock.BulkAddStarted:
		return []journal.IndexChange{{Op: journal.Put, Kind: runningJobs, Key: jobsKey, Ref: string(e.Job)}}
	case *lock.BulkAddEnded:
		return []journal.IndexChange{{Op: journal.Remove, Kind: runningJobs, Key: jobsKey, Ref: string(e.Job)}}
	case *lock.TempKeyCreated:
		return []journal.IndexChange{
			{Op: journal.Claim, New: true, Kind: claimTempKey, Key: string(e.Key.UUID)},
			{Op: journal.Put, Kind: byCreator, Key: e.Key.CreatedBy, Ref: string(e.Key.UUID)},
		}
	case *lock.TempKeyDeleted:
		d, err := lock.Decide(s, &lock.GetTempKey{TempKeyID: e.TempKeyID}, e.At)
		if info, ok := d.Reply.(*lock.TempKeyInfo); err == nil && ok {
			return []journal.IndexChange{{Op: journal.Remove, Kind: byCreator, Key: info.Key.CreatedBy, Ref: string(e.TempKeyID)}}
		}
	}
	return nil
}

// taken tells the caller which of the UUIDs names something else.
func taken(e *journal.ClaimError) *lock.Error {
	if e.Kind == claimDevice {
		return &lock.Error{
			Kind: lock.Conflict, Reason: "device-uuid-taken", Field: "uuid",
			Message: "Another lock has this uuid. Each device belongs to one lock.",
		}
	}
	return &lock.Error{
		Kind: lock.Conflict, Reason: lock.ReasonTempKeyTaken, Field: "tempKeyUuid",
		Message: "This tempKeyUuid is, or was, another key. One that was deleted does not come back. Use another UUID, or leave it out.",
	}
}
