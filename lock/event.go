package lock

import "time"

// Event is a fact about a lock. All but DeviceConnected and DeviceDisconnected go to the journal.
type Event interface {
	EventType() string
}

// Stamp is what every event carries.
type Stamp struct {
	At       time.Time `json:"at"`
	LockUUID UUID      `json:"lockUuid"`
	OrgID    OrgID     `json:"orgId,omitempty"`
	By       string    `json:"by,omitempty"`
	ByUser   bool      `json:"byUser,omitempty"` // By is a user, and no organisation or the like of the same name
	Via      string    `json:"via,omitempty"`    // the first characters of the API key that was shown
	From     string    `json:"from,omitempty"`   // the address that the call came from
}

// EventStamp gives the stamp of an event.
func (s Stamp) EventStamp() Stamp { return s }

// The events of platforms and guests.
type (
	// LockCreated is the first event of every lock. The stamp carries its organisation and the UUID of its device.
	LockCreated struct {
		Stamp
		LockID       ID     `json:"lockId"`
		Index        int64  `json:"index"`
		SerialNumber string `json:"serialNumber,omitempty"`
		VendorName   string `json:"vendorName,omitempty"`
		OwnerID      UserID `json:"ownerId,omitempty"`
		Keys         []Key  `json:"keys,omitempty"`
	}
	// OwnerSet gives the lock another owner, or none: its UserID is empty then.
	OwnerSet struct {
		Stamp
		UserID UserID `json:"userId"`
	}
	// OrganizationSet carries the new organisation in its stamp as well: the event belongs to the one that gets the lock.
	OrganizationSet struct {
		Stamp
		NewOrgID OrgID `json:"newOrgId"`
		OldOrgID OrgID `json:"oldOrgId,omitempty"` // the one that had the lock before
	}
	// KeyAdded puts a permanent key into the lock's list, or changes the one of the same UUID.
	KeyAdded struct {
		Stamp
		Key       Key       `json:"key"`
		CommandID CommandID `json:"commandId,omitempty"` // that the device has obeyed
		Job       JobID     `json:"instanceId,omitempty"`
	}
	// KeyRemoved takes a permanent key off the lock's list.
	KeyRemoved struct {
		Stamp
		Key       Key       `json:"key"`
		CommandID CommandID `json:"commandId,omitempty"`
	}
	// KeyWriteRequested tells the device to write a key of the list into its table again.
	// The command may be on the wire from the moment that this event is durable.
	KeyWriteRequested struct {
		Stamp
		KeyOrder
	}
	// KeyWritten is the device's word that it has done so.
	KeyWritten struct {
		Stamp
		Key       Key       `json:"key"`
		CommandID CommandID `json:"commandId"`
	}
	// KeyChangeRequested tells the device to add a key to its table, or to remove one. KeyAdded or KeyRemoved follows when
	// it has done so. The command may be on the wire from the moment that this event is durable.
	KeyChangeRequested struct {
		Stamp
		Action KeyAction `json:"action"`
		KeyOrder
	}
	// KeyChangeFailed ends a command about a key as refused, expired or unknown. Only unknown can be followed by another end.
	KeyChangeFailed struct {
		Stamp
		CommandID CommandID `json:"commandId"`
		Action    KeyAction `json:"action"`
		Key       Key       `json:"key"`
		Job       JobID     `json:"instanceId,omitempty"`
		Outcome   Outcome   `json:"outcome"`
		Reason    string    `json:"reason"`
		Message   string    `json:"message,omitempty"`
		Final     bool      `json:"final,omitempty"` // unknown for ever: nobody can tell any more
	}
	// BulkAddStarted is a job that adds keys, one after the other.
	BulkAddStarted struct {
		Stamp
		Job  JobID `json:"instanceId"`
		Keys []Key `json:"keys"`
	}
	// BulkKeySettled tells that the next key of a job was not added, and why.
	BulkKeySettled struct {
		Stamp
		Job    JobID      `json:"instanceId"`
		Key    Key        `json:"key"`
		Status BulkStatus `json:"status"`
		Reason string     `json:"reason,omitempty"`
	}
	// BulkAddEnded is the end of a job.
	BulkAddEnded struct {
		Stamp
		Job    JobID  `json:"instanceId"`
		Reason string `json:"reason,omitempty"` // why the rest of its keys was not added
	}
	// ResidentAdded puts a person on the doorbell list, or changes the one of the same user ID.
	ResidentAdded struct {
		Stamp
		Resident Resident `json:"resident"`
	}
	// ResidentRemoved takes a person off the doorbell list.
	ResidentRemoved struct {
		Stamp
		Resident Resident `json:"resident"`
	}
	// LockUuidChanged gives the lock another device. Its stamp carries the new UUID. What devices were told and did not answer
	// has ended as unknown, and the secrets of the old device are worth nothing any more.
	LockUuidChanged struct {
		Stamp
		NewUUID      UUID `json:"newUuid"`
		PreviousUUID UUID `json:"previousUuid"`
	}
	// ConfigSet says how the device should be set up.
	ConfigSet struct {
		Stamp
		Config Config `json:"config"`
	}
	// ConfigApplied is the device's word that it is set up so.
	ConfigApplied struct {
		Stamp
		Number uint64 `json:"number"`
	}
	// DeviceSecretRotated makes Hash the device's newest secret; the ones before are good until GraceUntil at most.
	DeviceSecretRotated struct {
		Stamp
		Hash       []byte    `json:"hash"`
		GraceUntil time.Time `json:"graceUntil"`
	}
	// TempKeyCreated carries a temporary key as it was created.
	TempKeyCreated struct {
		Stamp
		Key TempKey `json:"key"`
	}
	// TempKeyUpdated changes the terms of a temporary key.
	TempKeyUpdated struct {
		Stamp
		TempKeyID TempKeyID `json:"tempKeyUuid"`
		Changes   Changes   `json:"changes"`
	}
	// TempKeyDeleted revokes a temporary key. Its UUID never names another key.
	TempKeyDeleted struct {
		Stamp
		TempKeyID TempKeyID `json:"tempKeyUuid"`
	}
	// TempKeyUsed reserves one use of a key. UsedCount is the count with it.
	TempKeyUsed struct {
		Stamp
		TempKeyID TempKeyID `json:"tempKeyUuid"`
		UserID    UserID    `json:"userId,omitempty"`
		UsedCount int64     `json:"usedCount"`
		RequestID RequestID `json:"requestId,omitempty"` // of an open; empty: a platform told of a use
	}
	// TempKeyUseReturned gives back the use that the request reserved. UsedCount is the count without it.
	TempKeyUseReturned struct {
		Stamp
		TempKeyID TempKeyID `json:"tempKeyUuid"`
		UsedCount int64     `json:"usedCount"`
		RequestID RequestID `json:"requestId"`
		CommandID CommandID `json:"commandId"`
	}
	// LockOpenRequested is one accepted request to open. It starts the device command CommandID, or joins it.
	// Unless Held, the command may be on the wire from the moment that this event is durable.
	LockOpenRequested struct {
		Stamp
		RequestID RequestID `json:"requestId"`
		CommandID CommandID `json:"commandId"`
		TempKeyID TempKeyID `json:"tempKeyUuid,omitempty"`
		UserID    UserID    `json:"userId,omitempty"`
		Reason    string    `json:"reason,omitempty"`
		Joined    bool      `json:"joined,omitempty"`
		Held      bool      `json:"held,omitempty"`
		PIN       bool      `json:"pin,omitempty"` // by code; that ends a row of wrong ones
		Deadline  time.Time `json:"deadline"`
		Session   Session   `json:"session,omitzero"` // where the command that it starts goes to
		// DeadlineEnforced tells whether the device that the command is sent to can refuse it by its own clock.
		DeadlineEnforced bool `json:"deadlineEnforced,omitempty"`
		// Forgets is the version of the request that the full log forgets for this one.
		Forgets uint64 `json:"forgets,omitempty"`
	}
	// LockOpenSent releases a held command: from the moment that it is durable the command may be on the wire.
	LockOpenSent struct {
		Stamp
		CommandID        CommandID `json:"commandId"`
		Deadline         time.Time `json:"deadline"`
		Session          Session   `json:"session"`
		DeadlineEnforced bool      `json:"deadlineEnforced,omitempty"`
		OpenFor
	}
	// LockOpened is the device's word that its motor moved.
	LockOpened struct {
		Stamp
		CommandID        CommandID `json:"commandId"`
		Bolt             string    `json:"bolt,omitempty"`
		DeadlineEnforced bool      `json:"deadlineEnforced"`
		Resolved         bool      `json:"resolved,omitempty"` // learnt after the open had been called unknown
		OpenFor
	}
	// LockOpenFailed ends a command as refused, expired or unknown. Only unknown can be followed by another end.
	LockOpenFailed struct {
		Stamp
		CommandID        CommandID `json:"commandId"`
		RequestID        RequestID `json:"requestId,omitempty"` // set: only this request left the command
		Outcome          Outcome   `json:"outcome"`
		Reason           string    `json:"reason"` // a stable word: "jammed", "deadline-passed", ...
		Message          string    `json:"message,omitempty"`
		DeadlineEnforced bool      `json:"deadlineEnforced"`
		Resolved         bool      `json:"resolved,omitempty"`
		Final            bool      `json:"final,omitempty"` // unknown for ever: nobody can tell any more
		OpenFor
	}
	// DeviceReported is a batch of the device's own events, in the order of their seq.
	DeviceReported struct {
		Stamp
		Items []DeviceEvent `json:"items"`
	}
)

// The events that live in memory only: they are about sessions, which end with the process.
type (
	// DeviceConnected makes the session of Device the lock's only one, or tells more of it. Recalled says that nobody has
	// seen it connect who is here to tell.
	DeviceConnected struct {
		Stamp
		Device   Device
		Recalled bool
	}
	// DeviceDisconnected tells that the lock's session has ended, or is about to be ended by us.
	DeviceDisconnected struct {
		Stamp
		Session Session
	}
)

// ByType tells what By names: a user, an organization, super or guest. It is empty where nobody did it, and where an older
// record does not say.
func (s *Stamp) ByType() string {
	switch {
	case s.ByUser:
		return "user"
	case s.Via != "":
		return "organization"
	case s.By == nameOfSuper, s.By == nameOfGuest:
		return s.By
	}
	return ""
}

// OriginOf gives where an event came from, to those who may know it: the organisation whose the lock was at that moment, unless it was done
// with the key of another one, as when a collective key is revoked that was made before the lock was handed over. What hands a
// lock over bears the name of the next one, which is told nothing of the addresses of the one before.
func OriginOf(e Event, org OrgID) (via, from string) {
	stamped, ok := e.(interface{ EventStamp() Stamp })
	if !ok {
		return "", ""
	}
	s := stamped.EventStamp()
	whose := s.OrgID
	if handed, ok := e.(*OrganizationSet); ok && handed.OldOrgID != "" {
		whose = handed.OldOrgID
	}
	othersKey := s.ByType() == "organization" && s.By != string(org)
	if org == "" || org != whose || othersKey {
		return "", ""
	}
	return s.Via, s.From
}

// Journaled tells whether an event belongs in the journal.
func Journaled(e Event) bool {
	switch e.(type) {
	case *DeviceConnected, *DeviceDisconnected:
		return false
	}
	return true
}

// OpenFor tells for whom a command to open is: its requests, and the temporary keys among them, each once. It is there for those
// who read the events; older records have none.
type OpenFor struct {
	RequestIDs []RequestID `json:"requestIds,omitempty"`
	TempKeyIDs []TempKeyID `json:"tempKeyUuids,omitempty"`
}

// KeyOrder is what the device is told about a key.
type KeyOrder struct {
	CommandID CommandID `json:"commandId"`
	Key       Key       `json:"key"`
	Job       JobID     `json:"instanceId,omitempty"`
	Deadline  time.Time `json:"deadline"`
	Session   Session   `json:"session,omitzero"`
}

// Changes are the fields of a temporary key that an update names; nil leaves a field as it is.
type Changes struct {
	ValidFrom      *time.Time  `json:"validFrom,omitempty"`
	ValidUntil     *time.Time  `json:"validUntil,omitempty"`
	MaxUses        *MaxUses    `json:"maxUses,omitempty"`
	AllowedUserIDs *[]UserID   `json:"allowedUserIds,omitempty"`
	AccessMode     *AccessMode `json:"accessMode,omitempty"`
	Description    *string     `json:"description,omitempty"`

	Schedule           *ScheduleChange `json:"schedule,omitempty"`
	GraceBeforeSeconds *int64          `json:"graceBeforeSeconds,omitempty"`
	GraceAfterSeconds  *int64          `json:"graceAfterSeconds,omitempty"`
}

// ScheduleChange is a schedule that was named in an update: Schedule nil takes it away.
type ScheduleChange struct {
	Schedule *Schedule `json:"schedule"`
}

// MaxUses is a limit of uses that was named in an update: Limit nil lifts it.
type MaxUses struct {
	Limit *int64 `json:"limit"`
}

// DeviceEvent is one thing that a device reports: type is bolt, door, battery, tamper, rssi, firmware or manual-open.
type DeviceEvent struct {
	Seq   uint64 `json:"seq"`
	Type  string `json:"type"`
	Value string `json:"value"` // text; numbers in decimal
	Mono  int64  `json:"mono"`  // ms since the device booted
}
