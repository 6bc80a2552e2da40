package lock

import "time"

// Instant formats an instant as the API shows it: UTC with milliseconds.
func Instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// payload is the data of a public event.
type payload map[string]any

// with adds a field unless it is empty.
func (p payload) with(name, value string) payload {
	if value != "" {
		p[name] = value
	}
	return p
}

// PublicEvent projects an event to its public form: the type and the data that the API and webhooks show. The names and
// fields of the 14 events of the reference are kept exactly; the others are our own. Secrets stay out.
func PublicEvent(id ID, e Event) (typ string, data map[string]any) {
	switch e := e.(type) {
	case *TempKeyCreated, *TempKeyUpdated, *TempKeyDeleted, *TempKeyUsed, *TempKeyUseReturned:
		return e.EventType(), publicTempKey(id, e)
	}
	stamp := e.(interface{ EventStamp() Stamp }).EventStamp()
	p := payload{"lockId": id, "uuid": stamp.LockUUID, "timestamp": Instant(stamp.At)}
	switch e := e.(type) {
	case *LockCreated:
		p.with("serialNumber", e.SerialNumber).with("ownerId", string(e.OwnerID))
		p["keys"] = publicKeys(e.Keys)
	case *OwnerSet:
		p["userId"] = e.UserID
	case *OrganizationSet:
		p["orgId"] = e.NewOrgID
	case *KeyAdded:
		p.key(e.Key).with("userId", string(e.Key.UserID))
	case *KeyRemoved:
		p.key(e.Key)
	case *KeyWriteRequested:
		p.key(e.Key)
	case *KeyWritten:
		p.key(e.Key)["commandId"] = e.CommandID
	case *KeyChangeRequested:
		p.key(e.Key)["action"], p["commandId"] = e.Action, e.CommandID
		p.with("instanceId", string(e.Job))
	case *KeyChangeFailed:
		p.key(e.Key)["action"], p["commandId"], p["outcome"], p["reason"] = e.Action, e.CommandID, e.Outcome, e.Reason
		p.with("message", e.Message).with("instanceId", string(e.Job))
	case *BulkAddStarted:
		p["instanceId"], p["keys"] = e.Job, publicKeys(e.Keys)
	case *BulkKeySettled:
		p.key(e.Key)["instanceId"], p["status"] = e.Job, e.Status
		p.with("reason", e.Reason)
	case *BulkAddEnded:
		p["instanceId"] = e.Job
		p.with("reason", e.Reason)
	case *LockUuidChanged:
		p["newUuid"], p["previousUuid"] = e.NewUUID, e.PreviousUUID
	case *ConfigSet:
		p["config"], p["relockMs"] = e.Config.Number, e.Config.RelockMs
	case *ConfigApplied:
		p["config"] = e.Number
	case *ResidentAdded:
		p["userId"], p["name"] = e.Resident.UserID, e.Resident.Name
		p.with("email", e.Resident.Email)
	case *ResidentRemoved:
		p["userId"] = e.Resident.UserID
		p.with("email", e.Resident.Email)
	case *LockOpenRequested:
		p.with("reason", e.Reason)["requestId"] = e.RequestID
	case *LockOpenSent:
		p.openFor(e.OpenFor)["commandId"], p["deadline"] = e.CommandID, Instant(e.Deadline)
	case *LockOpened:
		p.openFor(e.OpenFor)["commandId"], p["outcome"] = e.CommandID, Opened
		p["deadlineEnforced"], p["resolved"] = e.DeadlineEnforced, e.Resolved
		p.with("bolt", e.Bolt)
	case *LockOpenFailed:
		p.openFor(e.OpenFor)["commandId"], p["outcome"], p["reason"] = e.CommandID, e.Outcome, e.Reason
		p["deadlineEnforced"], p["resolved"] = e.DeadlineEnforced, e.Resolved
		p.with("message", e.Message).with("requestId", string(e.RequestID))
	case *PINWasWrong:
		if p["wrong"] = e.Wrong; !e.LockedUntil.IsZero() {
			p["lockedUntil"] = Instant(e.LockedUntil)
		}
	case *DeviceReported:
		p["items"] = e.Items
	case *DeviceSecretRotated:
		p["graceUntil"] = Instant(e.GraceUntil)
	}
	return e.EventType(), p
}

func publicTempKey(id ID, e Event) payload {
	stamp := e.(interface{ EventStamp() Stamp }).EventStamp()
	p := payload{"lockId": id, "lockUuid": stamp.LockUUID, "timestamp": Instant(stamp.At)}
	switch e := e.(type) {
	case *TempKeyCreated:
		k := e.Key
		p["tempKeyUuid"], p["accessMode"], p["createdBy"] = k.UUID, k.AccessMode, k.CreatedBy
		p["allowedUserIds"], p["maxUses"] = users(k.AllowedUserIDs), k.MaxUses
		p["validFrom"], p["validUntil"] = Instant(k.ValidFrom), Instant(k.ValidUntil)
	case *TempKeyUpdated:
		p["tempKeyUuid"], p["updatedBy"], p["changes"] = e.TempKeyID, e.By, publicChanges(e.Changes)
	case *TempKeyDeleted:
		p["tempKeyUuid"], p["deletedBy"] = e.TempKeyID, e.By
	case *TempKeyUsed:
		p["tempKeyUuid"], p["usedCount"] = e.TempKeyID, e.UsedCount
		p.with("userId", string(e.UserID))
	case *TempKeyUseReturned:
		p["tempKeyUuid"], p["usedCount"], p["requestId"] = e.TempKeyID, e.UsedCount, e.RequestID
	}
	return p
}

// publicChanges has the fields of the reference and no more. Of an update of others alone it is empty: that the key changed is told all the same.
func publicChanges(c Changes) payload {
	p := payload{}
	if c.ValidFrom != nil {
		p["validFrom"] = Instant(*c.ValidFrom)
	}
	if c.ValidUntil != nil {
		p["validUntil"] = Instant(*c.ValidUntil)
	}
	if c.MaxUses != nil {
		p["maxUses"] = c.MaxUses.Limit
	}
	if c.AllowedUserIDs != nil {
		p["allowedUserIds"] = users(*c.AllowedUserIDs)
	}
	if c.AccessMode != nil {
		p["accessMode"] = *c.AccessMode
	}
	return p
}

func (p payload) key(k Key) payload {
	p["keyUuid"] = k.UUID
	if k.IndexNumber != nil {
		p["keyIndexNumber"] = *k.IndexNumber
	}
	return p
}

// openFor adds for whom a command to open is, unless the record is of a time before that was told.
func (p payload) openFor(f OpenFor) payload {
	if f.RequestIDs != nil {
		p["requestIds"] = f.RequestIDs
	}
	if f.TempKeyIDs != nil {
		p["tempKeyUuids"] = f.TempKeyIDs
	}
	return p
}

// publicKeys and users write an empty list as [], never as null.
func publicKeys(keys []Key) []payload {
	list := make([]payload, 0, len(keys))
	for _, k := range keys {
		p := payload{"uuid": k.UUID}
		if k.IndexNumber != nil {
			p["indexNumber"] = *k.IndexNumber
		}
		list = append(list, p.with("userId", string(k.UserID)))
	}
	return list
}

func users(ids []UserID) []UserID {
	if ids == nil {
		return []UserID{}
	}
	return ids
}
