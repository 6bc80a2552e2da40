package lock

import "time"

// State is all that a lock knows. Everything but Device follows from the journal alone.
// It belongs to one goroutine; Evolve changes it in place.
type State struct {
	ID           ID        `json:"id"`
	UUID         UUID      `json:"uuid"`
	Version      uint64    `json:"version"` // of the stream; also the epoch that devices see
	Index        int64     `json:"index"`
	SerialNumber string    `json:"serialNumber,omitempty"`
	VendorName   string    `json:"vendorName,omitempty"`
	OwnerID      UserID    `json:"ownerId,omitempty"`
	OrgID        OrgID     `json:"orgId,omitempty"`
	OrgSince     uint64    `json:"orgSince"` // the version since which the lock is that organisation's
	CreatedAt    time.Time `json:"createdAt"`
	ChangedAt    time.Time `json:"changedAt"`

	Keys      []Key      `json:"keys,omitempty"`
	Residents []Resident `json:"residents,omitempty"`
	Secrets   []Secret   `json:"secrets,omitempty"` // newest first
	TempKeys  tempKeys   `json:"tempKeys"`

	Commands []*DeviceCommand `json:"commands,omitempty"` // on their way or unresolved, oldest first
	Requests requestLog       `json:"requests"`           // the answers that a repeated request ID gets

	Once onceLog `json:"once"` // the requests with a name that were carried out

	KeyWork *keyWork `json:"keyWork,omitempty"` // what the device is told of permanent keys; nil: nothing
	Config  Config   `json:"config,omitzero"`

	AckSeq   uint64   `json:"ackSeq,omitempty"` // the device's events up to here are in the journal
	Reported Reported `json:"reported"`         // as the device's events last told

	Panel Panel `json:"panel,omitzero"` // the wrong codes

	Device   Device `json:"-"` // the live session, if there is one; gone with the process
	recalled bool   // it was not seen to connect: it has told of itself, after the process that knew it had gone
}

// Exists tells whether the lock was created.
func (s *State) Exists() bool { return s.ID != 0 }

// Key is a permanent key (a card, a fob) of a lock.
type Key struct {
	UUID        string `json:"uuid"`
	IndexNumber *int64 `json:"indexNumber,omitempty"`
	UserID      UserID `json:"userId,omitempty"`
	// OnDevice is what is known of the device's table. Empty: it was never told of the key.
	OnDevice Presence `json:"onDevice,omitempty"`
}

// Resident is a person on the doorbell list.
type Resident struct {
	UserID UserID `json:"userId"`
	Name   string `json:"name"`
	Email  string `json:"email,omitempty"`
	Phone  string `json:"phone,omitempty"`
}

// Secret is one credential of the device, kept as its SHA-256.
type Secret struct {
	Hash       []byte     `json:"hash"`
	ValidUntil *time.Time `json:"validUntil,omitempty"` // nil: until it is rotated
}

// AccessMode says who may open with a temporary key.
type AccessMode string

// The access modes.
const (
	Public        AccessMode = "public"         // whoever has the link
	UserWhitelist AccessMode = "user-whitelist" // the users that the key names
)

// TempKey is a temporary key. Its window is [ValidFrom, ValidUntil), both in milliseconds: the first instant is inside,
// the last is not. A schedule cuts the window into many, and grace widens each of them. A motor may move until a millisecond
// before the end of the window; an open that comes so late that nothing is left of that is refused.
type TempKey struct {
	UUID           TempKeyID  `json:"uuid"`
	AccessMode     AccessMode `json:"accessMode"`
	AllowedUserIDs []UserID   `json:"allowedUserIds,omitempty"`
	ValidFrom      time.Time  `json:"validFrom"`
	ValidUntil     time.Time  `json:"validUntil"`
	Schedule       *Schedule  `json:"schedule,omitempty"` // nil: at any hour
	// Grace widens each window of the key: it opens so much earlier, and so much longer.
	GraceBeforeSeconds int64 `json:"graceBeforeSeconds,omitempty"`
	GraceAfterSeconds  int64 `json:"graceAfterSeconds,omitempty"`

	MaxUses     *int64    `json:"maxUses,omitempty"` // nil: as often as one likes
	UsedCount   int64     `json:"usedCount,omitempty"`
	Description string    `json:"description,omitempty"`
	CreatedBy   string    `json:"createdBy"`
	CreatedAt   time.Time `json:"createdAt"`
	Door        *Door     `json:"door,omitempty"` // nil: it is not a part of a collective key
}

// Status is what a temporary key is worth at an instant.
type Status string

// The statuses, in the order in which they are looked for: an expired key that is also used up reads expired.
const (
	StatusExpired     Status = "expired"
	StatusUsedUp      Status = "used-up"
	StatusNotYetValid Status = "not-yet-valid"
	StatusValid       Status = "valid"
)

// Status computes what the key is worth at now. Outside its hours a key is not yet valid, and expired when no hours come any more.
func (k *TempKey) Status(now time.Time) Status {
	_, status := k.standing(now, 0)
	return status
}

// Session names one WebSocket of a device: the member that holds the socket, and a number. The pair is unique for ever,
// also after that member was started again: the journal remembers on which session a command went out.
type Session struct {
	Node string `json:"node"`
	ID   uint64 `json:"id"`
}

// Device is the live side of a lock: what the current session said of itself.
type Device struct {
	Session   Session
	Connected bool
	BootID    string
	Firmware  string
	Deadline  bool     // it enforces deadlines on its own clock
	Journal   bool     // it keeps the IDs of the commands that it has seen
	Keys      bool     // it keeps a table of permanent keys
	Reported  Reported // as its Hello and its events told
	HelloMono int64    // its clock in the Hello of the session: of two sessions of one boot the later one is the newer
	Clock     Clock    // a reading of its clock, so that a deadline can be told to it in its own time
}

// DeviceCommand is one command to open on its way to the device, with all the requests that joined it.
type DeviceCommand struct {
	ID       CommandID  `json:"id"`
	Requests []*request `json:"requests"` // the same ones as in the log, unless that has forgotten them
	At       time.Time  `json:"at"`
	Deadline time.Time  `json:"deadline"` // nothing may move after it
	// Outcome is reserved while it is held for an offline device and nothing has left, sent from the moment
	// that it may be on the wire, unknown when no answer came.
	Outcome Outcome `json:"outcome"`
	Session Session `json:"session,omitzero"` // where it was sent; zero while it is held
	// SentAt is when one was sent that had been held, by the clock that set its deadline then.
	SentAt time.Time `json:"sentAt,omitzero"`
	// DeadlineEnforced is whether the device that it was sent to refuses it by its own clock.
	DeadlineEnforced bool `json:"deadlineEnforced,omitempty"`

	latest time.Time // of a command that was loaded: the end of its deadline by our own clock, see Activate
}
