package actors

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/lock"
)

// putCommand writes a command into a request. commandOf is its inverse; it gets the instant at which the request came in.
func putCommand(x *pb.Request, c lock.Command) error {
	switch c := c.(type) {
	case *lock.CreateLock:
		x.Command = &pb.Request_CreateLock{CreateLock: &pb.CreateLock{
			By: callerToPB(c.By), Id: int64(c.ID), Uuid: string(c.UUID), Index: c.Index, SerialNumber: c.SerialNumber,
			VendorName: c.VendorName, OwnerId: string(c.OwnerID), Keys: each(c.Keys, keyToPB),
		}}
	case *lock.SetOwner:
		x.Command = &pb.Request_SetOwner{SetOwner: &pb.SetOwner{By: callerToPB(c.By), UserId: string(c.UserID)}}
	case *lock.SetOrganization:
		x.Command = &pb.Request_SetOrganization{SetOrganization: &pb.SetOrganization{By: callerToPB(c.By), OrgId: string(c.OrgID), Unknown: c.Unknown}}
	case *lock.AddKey:
		x.Command = &pb.Request_AddKey{AddKey: &pb.AddKey{By: callerToPB(c.By), Key: keyToPB(c.Key), CommandId: string(c.CommandID)}}
	case *lock.RemoveKey:
		x.Command = &pb.Request_RemoveKey{RemoveKey: &pb.RemoveKey{
			By: callerToPB(c.By), KeyUuid: c.KeyUUID, IndexNumber: c.IndexNumber, CommandId: string(c.CommandID),
		}}
	case *lock.AddResident:
		x.Command = &pb.Request_AddResident{AddResident: &pb.AddResident{By: callerToPB(c.By), Resident: residentToPB(c.Resident), ByPhone: c.ByPhone}}
	case *lock.RemoveResident:
		x.Command = &pb.Request_RemoveResident{RemoveResident: &pb.RemoveResident{
			By: callerToPB(c.By), UserId: string(c.UserID), Email: c.Email, Phone: c.Phone,
		}}
	case *lock.RotateDeviceSecret:
		x.Command = &pb.Request_RotateDeviceSecret{RotateDeviceSecret: &pb.RotateDeviceSecret{
			By: callerToPB(c.By), Hash: c.Hash, Grace: durationpb.New(c.Grace),
		}}
	case *lock.CreateTempKey:
		x.Command = &pb.Request_CreateTempKey{CreateTempKey: createTempKeyToPB(c)}
	case *lock.UpdateTempKey:
		x.Command = &pb.Request_UpdateTempKey{UpdateTempKey: updateTempKeyToPB(c)}
	case *lock.CreateTempKeys:
		m := &pb.CreateTempKeys{By: callerToPB(c.By)}
		for i := range c.Keys {
			m.Keys = append(m.Keys, createTempKeyToPB(&c.Keys[i]))
		}
		x.Command = &pb.Request_CreateTempKeys{CreateTempKeys: m}
	case *lock.UpdateTempKeys:
		m := &pb.UpdateTempKeys{By: callerToPB(c.By)}
		for i := range c.Updates {
			m.Updates = append(m.Updates, updateTempKeyToPB(&c.Updates[i]))
		}
		x.Command = &pb.Request_UpdateTempKeys{UpdateTempKeys: m}
	case *lock.DeleteTempKey:
		x.Command = &pb.Request_DeleteTempKey{DeleteTempKey: &pb.DeleteTempKey{
			By: callerToPB(c.By), TempKeyId: string(c.TempKeyID), Door: c.Door,
		}}
	case *lock.OpenLock:
		x.Command = &pb.Request_OpenLock{OpenLock: &pb.OpenLock{
			By: callerToPB(c.By), RequestId: string(c.RequestID), CommandId: string(c.CommandID), Reason: c.Reason,
			Lifetime: durationpb.New(c.Lifetime),
		}}
	case *lock.OpenWithTempKey:
		x.Command = &pb.Request_OpenWithTempKey{OpenWithTempKey: &pb.OpenWithTempKey{
			By: callerToPB(c.By), TempKeyId: string(c.TempKeyID), RequestId: string(c.RequestID), CommandId: string(c.CommandID),
			Lifetime: durationpb.New(c.Lifetime), Hold: durationpb.New(c.Hold),
		}}
	case *lock.OpenWithPIN:
		x.Command = &pb.Request_OpenWithPin{OpenWithPin: &pb.OpenWithPIN{
			Hash: c.Hash, RequestId: string(c.RequestID), CommandId: string(c.CommandID),
			Lifetime: durationpb.New(c.Lifetime), Hold: durationpb.New(c.Hold),
		}}
	case *lock.GetLock:
		x.Command = &pb.Request_GetLock{GetLock: &pb.GetLock{By: callerToPB(c.By)}}
	case *lock.GetTempKey:
		x.Command = &pb.Request_GetTempKey{GetTempKey: &pb.GetTempKey{TempKeyId: string(c.TempKeyID), RequestId: string(c.RequestID)}}
	case *lock.ListTempKeys:
		x.Command = &pb.Request_ListTempKeys{ListTempKeys: listTempKeysToPB(c)}
	case *lock.AuthenticateDevice:
		x.Command = &pb.Request_AuthenticateDevice{AuthenticateDevice: &pb.AuthenticateDevice{Uuid: string(c.UUID), Hash: c.Hash, Certified: c.Certified}}
	case *lock.ConnectDevice:
		x.Command = &pb.Request_ConnectDevice{ConnectDevice: &pb.ConnectDevice{Device: deviceToPB(c.Device)}}
	case *lock.KeepDevice:
		x.Command = &pb.Request_KeepDevice{KeepDevice: &pb.KeepDevice{Device: deviceToPB(c.Device)}}
	case *lock.DisconnectDevice:
		x.Command = &pb.Request_DisconnectDevice{DisconnectDevice: &pb.DisconnectDevice{Session: sessionToPB(c.Session)}}
	case *lock.AnswerOpen:
		x.Command = &pb.Request_AnswerOpen{AnswerOpen: &pb.AnswerOpen{
			Session: sessionToPB(c.Session), CommandId: string(c.CommandID), Opened: c.Opened, Executed: uint32(c.Executed),
			Code: c.Code, Message: c.Message, Bolt: c.Bolt,
		}}
	case *lock.AnswerStatus:
		statuses := make(map[string]string, len(c.Statuses))
		for id, status := range c.Statuses {
			statuses[string(id)] = string(status)
		}
		x.Command = &pb.Request_AnswerStatus{AnswerStatus: &pb.AnswerStatus{Session: sessionToPB(c.Session), Statuses: statuses}}
	case *lock.ReportEvents:
		x.Command = &pb.Request_ReportEvents{ReportEvents: &pb.ReportEvents{
			Session: sessionToPB(c.Session), CallId: c.CallID, After: c.After, Items: each(c.Items, deviceEventToPB),
		}}
	case *lock.Once:
		inner := new(pb.Request)
		x.Command = &pb.Request_Once{Once: &pb.Once{By: callerToPB(c.By), Key: c.Key, Hash: c.Hash, Request: inner}}
		return putCommand(inner, c.Command)
	case *lock.Tick:
		x.Command = &pb.Request_Tick{Tick: &pb.Tick{}}
	default:
		return putKeyCommand(x, c)
	}
	return nil
}

// putKeyCommand is putCommand for what permanent keys, their device and its configuration are told.
func putKeyCommand(x *pb.Request, c lock.Command) error {
	switch c := c.(type) {
	case *lock.WriteKey:
		x.Command = &pb.Request_WriteKey{WriteKey: &pb.WriteKey{
			By: callerToPB(c.By), KeyUuid: c.KeyUUID, IndexNumber: c.IndexNumber, CommandId: string(c.CommandID),
		}}
	case *lock.BulkAddKeys:
		x.Command = &pb.Request_BulkAddKeys{BulkAddKeys: &pb.BulkAddKeys{By: callerToPB(c.By), Job: string(c.Job), Keys: each(c.Keys, keyToPB)}}
	case *lock.GetBulkAddKeys:
		x.Command = &pb.Request_BulkAddProgress{BulkAddProgress: &pb.GetBulkAddKeys{By: callerToPB(c.By), Job: string(c.Job)}}
	case *lock.ChangeLockUUID:
		x.Command = &pb.Request_ChangeLockUuid{ChangeLockUuid: &pb.ChangeLockUUID{By: callerToPB(c.By), NewUuid: string(c.NewUUID)}}
	case *lock.SetConfig:
		x.Command = &pb.Request_SetConfig{SetConfig: &pb.SetConfig{By: callerToPB(c.By), RelockMs: c.RelockMs}}
	case *lock.UseTempKey:
		x.Command = &pb.Request_UseTempKey{UseTempKey: &pb.UseTempKey{
			By: callerToPB(c.By), TempKeyId: string(c.TempKeyID), UserId: string(c.UserID),
		}}
	case *lock.AnswerKey:
		x.Command = &pb.Request_AnswerKey{AnswerKey: &pb.AnswerKey{
			Session: sessionToPB(c.Session), CommandId: string(c.CommandID), Done: c.Done, Executed: uint32(c.Executed),
			Code: c.Code, Message: c.Message,
		}}
	case *lock.AnswerConfig:
		x.Command = &pb.Request_AnswerConfig{AnswerConfig: &pb.AnswerConfig{Session: sessionToPB(c.Session), Number: c.Number}}
	default:
		return fmt.Errorf("actors: the command %T cannot travel between nodes", c)
	}
	return nil
}

func commandOf(x *pb.Request, at time.Time) (lock.Command, error) {
	switch c := x.GetCommand().(type) {
	case *pb.Request_CreateLock:
		m := c.CreateLock
		return &lock.CreateLock{
			By: callerOf(m.GetBy()), ID: lock.ID(m.GetId()), UUID: lock.UUID(m.GetUuid()), Index: m.GetIndex(), SerialNumber: m.GetSerialNumber(),
			VendorName: m.GetVendorName(), OwnerID: lock.UserID(m.GetOwnerId()), Keys: each(m.GetKeys(), keyOf),
		}, nil
	case *pb.Request_SetOwner:
		return &lock.SetOwner{By: callerOf(c.SetOwner.GetBy()), UserID: lock.UserID(c.SetOwner.GetUserId())}, nil
	case *pb.Request_SetOrganization:
		m := c.SetOrganization
		return &lock.SetOrganization{By: callerOf(m.GetBy()), OrgID: lock.OrgID(m.GetOrgId()), Unknown: m.GetUnknown()}, nil
	case *pb.Request_AddKey:
		return &lock.AddKey{By: callerOf(c.AddKey.GetBy()), Key: keyOf(c.AddKey.GetKey()), CommandID: lock.CommandID(c.AddKey.GetCommandId())}, nil
	case *pb.Request_RemoveKey:
		m := c.RemoveKey
		return &lock.RemoveKey{
			By: callerOf(m.GetBy()), KeyUUID: m.GetKeyUuid(), IndexNumber: m.IndexNumber, CommandID: lock.CommandID(m.GetCommandId()),
		}, nil
	case *pb.Request_AddResident:
		m := c.AddResident
		return &lock.AddResident{By: callerOf(m.GetBy()), Resident: residentOf(m.GetResident()), ByPhone: m.GetByPhone()}, nil
	case *pb.Request_RemoveResident:
		m := c.RemoveResident
		return &lock.RemoveResident{
			By: callerOf(m.GetBy()), UserID: lock.UserID(m.GetUserId()), Email: m.GetEmail(), Phone: m.GetPhone(),
		}, nil
	case *pb.Request_RotateDeviceSecret:
		m := c.RotateDeviceSecret
		return &lock.RotateDeviceSecret{By: callerOf(m.GetBy()), Hash: m.GetHash(), Grace: m.GetGrace().AsDuration()}, nil
	case *pb.Request_CreateTempKey:
		return createTempKeyOf(c.CreateTempKey)
	case *pb.Request_UpdateTempKey:
		return updateTempKeyOf(c.UpdateTempKey)
	case *pb.Request_CreateTempKeys:
		return createTempKeysOf(c.CreateTempKeys)
	case *pb.Request_UpdateTempKeys:
		return updateTempKeysOf(c.UpdateTempKeys)
	case *pb.Request_DeleteTempKey:
		m := c.DeleteTempKey
		return &lock.DeleteTempKey{By: callerOf(m.GetBy()), TempKeyID: lock.TempKeyID(m.GetTempKeyId()), Door: m.GetDoor()}, nil
	case *pb.Request_OpenLock:
		m := c.OpenLock
		return &lock.OpenLock{
			By: callerOf(m.GetBy()), RequestID: lock.RequestID(m.GetRequestId()), CommandID: lock.CommandID(m.GetCommandId()),
			Reason: m.GetReason(), Lifetime: m.GetLifetime().AsDuration(),
		}, nil
	case *pb.Request_OpenWithTempKey:
		m := c.OpenWithTempKey
		return &lock.OpenWithTempKey{
			By: callerOf(m.GetBy()), TempKeyID: lock.TempKeyID(m.GetTempKeyId()), RequestID: lock.RequestID(m.GetRequestId()),
			CommandID: lock.CommandID(m.GetCommandId()), Lifetime: m.GetLifetime().AsDuration(), Hold: m.GetHold().AsDuration(),
		}, nil
	case *pb.Request_OpenWithPin:
		m := c.OpenWithPin
		return &lock.OpenWithPIN{
			Hash: m.GetHash(), RequestID: lock.RequestID(m.GetRequestId()), CommandID: lock.CommandID(m.GetCommandId()),
			Lifetime: m.GetLifetime().AsDuration(), Hold: m.GetHold().AsDuration(),
		}, nil
	case *pb.Request_GetLock:
		return &lock.GetLock{By: callerOf(c.GetLock.GetBy())}, nil
	case *pb.Request_GetTempKey:
		m := c.GetTempKey
		return &lock.GetTempKey{TempKeyID: lock.TempKeyID(m.GetTempKeyId()), RequestID: lock.RequestID(m.GetRequestId())}, nil
	case *pb.Request_ListTempKeys:
		return listTempKeysOf(c.ListTempKeys), nil
	case *pb.Request_AuthenticateDevice:
		m := c.AuthenticateDevice
		return &lock.AuthenticateDevice{UUID: lock.UUID(m.GetUuid()), Hash: m.GetHash(), Certified: m.GetCertified()}, nil
	case *pb.Request_ConnectDevice:
		return &lock.ConnectDevice{Device: deviceOf(c.ConnectDevice.GetDevice(), at)}, nil
	case *pb.Request_KeepDevice:
		return &lock.KeepDevice{Device: deviceOf(c.KeepDevice.GetDevice(), at)}, nil
	case *pb.Request_DisconnectDevice:
		return &lock.DisconnectDevice{Session: sessionOf(c.DisconnectDevice.GetSession())}, nil
	case *pb.Request_AnswerOpen:
		m := c.AnswerOpen
		return &lock.AnswerOpen{
			Session: sessionOf(m.GetSession()), CommandID: lock.CommandID(m.GetCommandId()), Opened: m.GetOpened(),
			Executed: lock.Executed(m.GetExecuted()), Code: m.GetCode(), Message: m.GetMessage(), Bolt: m.GetBolt(),
		}, nil
	case *pb.Request_AnswerStatus:
		m := c.AnswerStatus
		statuses := make(map[lock.CommandID]lock.CommandStatus, len(m.GetStatuses()))
		for id, status := range m.GetStatuses() {
			statuses[lock.CommandID(id)] = lock.CommandStatus(status)
		}
		return &lock.AnswerStatus{Session: sessionOf(m.GetSession()), Statuses: statuses}, nil
	case *pb.Request_ReportEvents:
		m := c.ReportEvents
		return &lock.ReportEvents{Session: sessionOf(m.GetSession()), CallID: m.GetCallId(), After: m.GetAfter(), Items: each(m.GetItems(), deviceEventOf)}, nil
	case *pb.Request_Once:
		m := c.Once
		once := &lock.Once{By: callerOf(m.GetBy()), Key: m.GetKey(), Hash: m.GetHash()}
		if _, nested := m.GetRequest().GetCommand().(*pb.Request_Once); nested || m.GetRequest() == nil {
			return once, nil // which the kernel does not take
		}
		var err error
		once.Command, err = commandOf(m.GetRequest(), at)
		return once, err
	case *pb.Request_Tick:
		return &lock.Tick{}, nil
	default:
		return keyCommandOf(x)
	}
}

// keyCommandOf is the inverse of putKeyCommand.
func keyCommandOf(x *pb.Request) (lock.Command, error) {
	switch c := x.GetCommand().(type) {
	case *pb.Request_WriteKey:
		m := c.WriteKey
		return &lock.WriteKey{
			By: callerOf(m.GetBy()), KeyUUID: m.GetKeyUuid(), IndexNumber: m.IndexNumber, CommandID: lock.CommandID(m.GetCommandId()),
		}, nil
	case *pb.Request_BulkAddKeys:
		m := c.BulkAddKeys
		return &lock.BulkAddKeys{By: callerOf(m.GetBy()), Job: lock.JobID(m.GetJob()), Keys: each(m.GetKeys(), keyOf)}, nil
	case *pb.Request_BulkAddProgress:
		return &lock.GetBulkAddKeys{By: callerOf(c.BulkAddProgress.GetBy()), Job: lock.JobID(c.BulkAddProgress.GetJob())}, nil
	case *pb.Request_ChangeLockUuid:
		return &lock.ChangeLockUUID{By: callerOf(c.ChangeLockUuid.GetBy()), NewUUID: lock.UUID(c.ChangeLockUuid.GetNewUuid())}, nil
	case *pb.Request_SetConfig:
		return &lock.SetConfig{By: callerOf(c.SetConfig.GetBy()), RelockMs: c.SetConfig.GetRelockMs()}, nil
	case *pb.Request_UseTempKey:
		m := c.UseTempKey
		return &lock.UseTempKey{By: callerOf(m.GetBy()), TempKeyID: lock.TempKeyID(m.GetTempKeyId()), UserID: lock.UserID(m.GetUserId())}, nil
	case *pb.Request_AnswerKey:
		m := c.AnswerKey
		return &lock.AnswerKey{
			Session: sessionOf(m.GetSession()), CommandID: lock.CommandID(m.GetCommandId()), Done: m.GetDone(),
			Executed: lock.Executed(m.GetExecuted()), Code: m.GetCode(), Message: m.GetMessage(),
		}, nil
	case *pb.Request_AnswerConfig:
		return &lock.AnswerConfig{Session: sessionOf(c.AnswerConfig.GetSession()), Number: c.AnswerConfig.GetNumber()}, nil
	default:
		return nil, fmt.Errorf("actors: a request without a command that this version knows")
	}
}
