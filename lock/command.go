package lock

import "time"

// Command is what somebody wants of a lock. Queries are commands that change nothing.
type Command interface{ isCommand() }

// Caller is who wants it. A caller may be an organisation and a user at once.
type Caller struct {
	Super  bool   // the operator's super key
	OrgID  OrgID  // an organisation's API key
	UserID UserID // the subject of a token

	// What the events keep of where the call came from. No rule looks at it.
	Key  string // the first characters of the API key
	Addr string // the network address; empty for guests, of whom none is kept
}

// Name is how the caller appears in createdBy and the like: the user, else the organisation, else "super" or "guest".
func (c Caller) Name() string {
	switch {
	case c.UserID != "":
		return string(c.UserID)
	case c.OrgID != "":
		return string(c.OrgID)
	case c.Super:
		return nameOfSuper
	default:
		return nameOfGuest
	}
}

// The names of callers that have none.
const (
	nameOfSuper = "super"
	nameOfGuest = "guest"
)

// The commands of platforms. By must hold credentials that were checked.
type (
	// CreateLock brings a lock into being. Repeating it is fine as long as the lock is still as it says, and was never
	// another organisation's.
	CreateLock struct {
		By           Caller
		ID           ID
		UUID         UUID
		Index        int64
		SerialNumber string
		VendorName   string
		OwnerID      UserID
		Keys         []Key
	}
	// SetOwner gives the lock another owner, or none.
	SetOwner struct {
		By     Caller
		UserID UserID // empty: the lock has no owner any more
	}
	// SetOrganization hands the lock to another organisation.
	SetOrganization struct {
		By      Caller
		OrgID   OrgID
		Unknown bool // nobody ever made the organisation, which the lock cannot know
	}
	// AddKey adds a permanent key, to the device first if it keeps keys. Reply: *KeyResult.
	AddKey struct {
		By        Caller
		Key       Key       // OnDevice is not looked at
		CommandID CommandID // used if the device is told
	}
	// RemoveKey removes the permanent key that fits what is named, from the device first if it may have it. Reply: *KeyResult.
	RemoveKey struct {
		By          Caller
		KeyUUID     string // this
		IndexNumber *int64 // or this, or both
		CommandID   CommandID
	}
	// WriteKey has the device write a key of the list into its table again. Reply: *KeyResult.
	WriteKey struct {
		By          Caller
		KeyUUID     string
		IndexNumber *int64 // if named, the key must have it
		CommandID   CommandID
	}
	// BulkAddKeys starts a job that adds keys, one after the other. Repeating it under the same ID is fine.
	BulkAddKeys struct {
		By   Caller
		Job  JobID
		Keys []Key
	}
	// AddResident puts a person on the doorbell list, or changes the one of the same user ID: what it does not name stays.
	AddResident struct {
		By       Caller
		Resident Resident
		ByPhone  bool // the user ID is that of the phone number: nobody named it, nor an e-mail address
	}
	// RemoveResident takes the one person off the doorbell list who fits what is named.
	RemoveResident struct {
		By     Caller
		UserID UserID // this
		Email  string // or this
		Phone  string // or this, or several of them
	}
	// ChangeLockUUID gives the lock another device.
	ChangeLockUUID struct {
		By      Caller
		NewUUID UUID
	}
	// SetConfig says how the device should be set up. It may hear of it later.
	SetConfig struct {
		By       Caller
		RelockMs int64
	}
	// UseTempKey counts a use of a temporary key that the lock has had no part in.
	UseTempKey struct {
		By        Caller
		TempKeyID TempKeyID
		UserID    UserID // who used it; may be empty for a public key
	}
	// RotateDeviceSecret makes Hash (SHA-256 of the new secret) valid; the ones before stay valid for Grace at most.
	RotateDeviceSecret struct {
		By    Caller
		Hash  []byte
		Grace time.Duration
	}
	// CreateTempKey creates a temporary key. Repeating it with the same terms is fine.
	CreateTempKey struct {
		By             Caller
		UUID           TempKeyID
		AccessMode     AccessMode
		AllowedUserIDs []UserID
		ValidFrom      time.Time
		ValidUntil     time.Time
		Schedule       *Schedule // nil: at any hour
		MaxUses        *int64

		GraceBeforeSeconds int64
		GraceAfterSeconds  int64
		Description        string

		Door    *Door     // nil: it is no part of a collective key
		GrantBy time.Time // after which a door is not granted any more
	}
	// UpdateTempKey changes the terms of a temporary key. The reply waits for opens that the new terms do not cover.
	UpdateTempKey struct {
		By        Caller
		TempKeyID TempKeyID
		Changes   Changes
	}
	// DeleteTempKey revokes a temporary key. The reply waits for opens that may be on the wire.
	DeleteTempKey struct {
		By        Caller
		TempKeyID TempKeyID
		Door      bool // the collective key that it is a part of is revoked
	}
	// OpenLock opens for an owner, an organisation or the operator, when the device is connected.
	OpenLock struct {
		By        Caller
		RequestID RequestID
		CommandID CommandID // used unless the request joins another command
		Reason    string
		Lifetime  time.Duration // of the command on its way to the device
	}
	// OpenWithTempKey opens for whoever has the key's link. Without a device it is held for Hold.
	OpenWithTempKey struct {
		By        Caller
		TempKeyID TempKeyID
		RequestID RequestID
		CommandID CommandID
		Lifetime  time.Duration
		Hold      time.Duration
	}
)

// The queries.
type (
	// GetLock asks for the lock itself. Reply: *Info.
	GetLock struct{ By Caller }
	// GetTempKey asks what the holder of a link may know. Reply: *TempKeyInfo. Of a key that was deleted it still tells what became of
	// an open, to whoever can name both.
	GetTempKey struct {
		TempKeyID TempKeyID
		RequestID RequestID // the open to tell about; empty: the one that is on its way, of a public key
	}
	// AuthenticateDevice checks a device's credentials. Reply: *Done, or an Unauthentic error.
	AuthenticateDevice struct {
		UUID      UUID
		Hash      []byte // SHA-256 of the secret that it showed
		Certified bool   // a certificate has proven the UUID, and no secret is needed
	}
	// GetBulkAddKeys asks how far a job has come. Reply: *BulkProgress.
	GetBulkAddKeys struct {
		By  Caller
		Job JobID
	}
)

// What a device says, by way of its session.
type (
	// ConnectDevice makes a session the lock's newest. Reply: *Greeting, or *Done when the device has said a later Hello already,
	// on the session that stays.
	ConnectDevice struct {
		Device Device // Connected is not looked at
	}
	// KeepDevice says now and then that a session still lives, in case that the grain was activated anew.
	// Reply: *Done. A session that is not the newest is closed.
	KeepDevice struct{ Device Device }
	// DisconnectDevice tells that a session has ended.
	DisconnectDevice struct{ Session Session }
	// AnswerOpen is the device's answer to an Open.
	AnswerOpen struct {
		Session   Session
		CommandID CommandID
		Opened    bool     // the device answered that its motor moved
		Executed  Executed // of a refusal
		Code      string   // of a refusal, as in the protocol: "Expired", "Jammed", ...
		Message   string
		Bolt      string
	}
	// AnswerKey is the device's answer to a command about a key.
	AnswerKey struct {
		Session   Session
		CommandID CommandID
		Done      bool     // its table is as the command wanted it
		Executed  Executed // of a refusal
		Code      string   // of a refusal, as in the protocol
		Message   string
	}
	// AnswerConfig tells that the device has taken a configuration.
	AnswerConfig struct {
		Session Session
		Number  uint64
	}
	// AnswerStatus is the device's answer to CommandStatus.
	AnswerStatus struct {
		Session  Session
		Statuses map[CommandID]CommandStatus
	}
	// ReportEvents hands over events of the device. The effect AckEvents follows when they are durable.
	ReportEvents struct {
		Session Session
		CallID  string
		After   uint64 // seq of the last event that the session handed over before these, or of its greeting; 0: it hands these over again
		Items   []DeviceEvent
	}
)

// Tick lets deadlines pass. The shell sends it at NextDeadline.
type Tick struct{}

// IsChange tells whether a command is a caller's change to a lock: no open, which has a name of its own, no question, and nothing that a
// device or the clock tells. Whoever sends it twice has to say that it is the same one, as Once does.
func IsChange(c Command) bool {
	switch c.(type) {
	case *CreateLock, *SetOwner, *SetOrganization, *RotateDeviceSecret, *ChangeLockUUID, *SetConfig,
		*AddKey, *RemoveKey, *WriteKey, *BulkAddKeys, *AddResident, *RemoveResident,
		*CreateTempKey, *UpdateTempKey, *DeleteTempKey, *CreateTempKeys, *UpdateTempKeys, *UseTempKey:
		return true
	}
	return false
}

// Executed is whether a device that refused a command has moved its motor for it.
type Executed uint8

// What a device may say of a refused command.
const (
	ExecutedUnknown Executed = iota
	NotExecuted
	WasExecuted
)

// CommandStatus is what a device's own journal says of a command.
type CommandStatus string

// The statuses of a command.
const (
	CommandExecuted    CommandStatus = "executed" // its answer was, or would have been, that it is done
	CommandMoved       CommandStatus = "moved"    // the motor moved, or may have, and its answer was an error
	CommandRefused     CommandStatus = "refused"
	CommandNotSeen     CommandStatus = "not-seen"
	CommandJournalLost CommandStatus = "journal-lost"
)

// Reported is what a device tells of itself. Empty and zero fields were never told.
type Reported struct {
	Bolt    string `json:"bolt,omitempty"`
	Door    string `json:"door,omitempty"`
	Battery int    `json:"battery,omitempty"` // per cent
	Config  uint64 `json:"config,omitempty"`  // number of the configuration that is in force
}

func (*CreateLock) isCommand()         {}
func (*SetOwner) isCommand()           {}
func (*SetOrganization) isCommand()    {}
func (*AddKey) isCommand()             {}
func (*RemoveKey) isCommand()          {}
func (*WriteKey) isCommand()           {}
func (*BulkAddKeys) isCommand()        {}
func (*GetBulkAddKeys) isCommand()     {}
func (*ChangeLockUUID) isCommand()     {}
func (*SetConfig) isCommand()          {}
func (*UseTempKey) isCommand()         {}
func (*AnswerKey) isCommand()          {}
func (*AnswerConfig) isCommand()       {}
func (*AddResident) isCommand()        {}
func (*RemoveResident) isCommand()     {}
func (*RotateDeviceSecret) isCommand() {}
func (*CreateTempKey) isCommand()      {}
func (*UpdateTempKey) isCommand()      {}
func (*DeleteTempKey) isCommand()      {}
func (*OpenLock) isCommand()           {}
func (*OpenWithTempKey) isCommand()    {}
func (*GetLock) isCommand()            {}
func (*GetTempKey) isCommand()         {}
func (*AuthenticateDevice) isCommand() {}
func (*ConnectDevice) isCommand()      {}
func (*KeepDevice) isCommand()         {}
func (*DisconnectDevice) isCommand()   {}
func (*AnswerOpen) isCommand()         {}
func (*AnswerStatus) isCommand()       {}
func (*ReportEvents) isCommand()       {}
func (*Tick) isCommand()               {}
