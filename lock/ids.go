package lock

import (
	"strconv"
	"strings"
)

// MaxID is the largest lock ID: the largest integer that every JSON reader keeps exact (2^53 - 1).
const MaxID ID = 1<<53 - 1

type (
	// ID is the platform's number of a lock, from 1 to MaxID.
	ID int64
	// UUID names the physical device of a lock. It is lower-case, in the 8-4-4-4-12 form of RFC 9562.
	UUID string
	// TempKeyID is the UUID of a temporary key, and the secret part of a guest's link.
	TempKeyID string
	// CommandID names one command to a device, which moves the motor at most once.
	CommandID string
	// RequestID names one request to open. The same request ID always gets the same answer.
	RequestID string
	// UserID is the subject of a user's token.
	UserID string
	// OrgID names an organisation, the tenant that a lock belongs to.
	OrgID string
	// Outcome is what is known about an open.
	Outcome string
)

// The outcomes of an open. Reserved and sent are on their way; the others are final, except that
// unknown may still become opened, refused or expired when the device is asked about it.
const (
	Reserved Outcome = "reserved" // durable in the journal, nothing has left for the device
	Sent     Outcome = "sent"     // handed to the device's session
	Opened   Outcome = "opened"   // the device says that its motor moved
	Refused  Outcome = "refused"  // the device says that it did not move
	Expired  Outcome = "expired"  // the deadline passed, and it is proven that nothing moved
	Unknown  Outcome = "unknown"  // the device may have moved; the use stays spent
)

// Confirmed is what becomes of a command about a permanent key that goes well: the device has obeyed, or has no part in it.
// The others are sent, refused, expired and unknown, as with opens.
const Confirmed Outcome = "confirmed"

// Final tells whether an open has an answer to give to the one who waits for it.
func (o Outcome) Final() bool { return o != Reserved && o != Sent && o != "" }

// ParseID reads a lock ID in decimal.
func ParseID(s string) (ID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || ID(n) > MaxID || s[0] == '+' || s[0] == '0' {
		return 0, invalid("id", "lock-id-invalid", "the lock ID must be a whole number from 1 to 9007199254740991, without leading zeros")
	}
	return ID(n), nil
}

func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// ParseUUID reads the UUID of a device, in any letter case.
func ParseUUID(s string) (UUID, error) {
	u, ok := canonicalUUID(s)
	if !ok {
		return "", invalid("uuid", "uuid-invalid", "uuid must be a UUID such as 6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b")
	}
	return UUID(u), nil
}

// ParseTempKeyID reads the UUID of a temporary key, in any letter case.
func ParseTempKeyID(s string) (TempKeyID, error) {
	u, ok := canonicalUUID(s)
	if !ok {
		return "", invalid("tempKeyUuid", "temp-key-uuid-invalid", "tempKeyUuid must be a UUID such as 6f2c1f0e-8b7a-4d4e-9a55-0c1d2e3f4a5b")
	}
	return TempKeyID(u), nil
}

// The UUIDs that RFC 9562 keeps for "none": a program sends them whose own was never set. Nothing new is named by one, least of all a
// key, whose UUID is its secret. What was named so before stays as it is.
const (
	nilUUID = "00000000-0000-0000-0000-000000000000"
	maxUUID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
)

// checkNew tells what is wrong with a UUID that is about to name something.
func checkNew(uuid, field, reason string) error {
	if uuid == nilUUID || uuid == maxUUID {
		return invalid(field, reason, field+" must be a UUID of its own, and not one of zeros or of fs alone")
	}
	return nil
}

func canonicalUUID(s string) (string, bool) {
	if len(s) != 36 {
		return "", false
	}
	upper := false
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", false
			}
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'f':
		case 'A' <= c && c <= 'F':
			upper = true
		default:
			return "", false
		}
	}
	if upper {
		s = strings.ToLower(s)
	}
	return s, true
}
