package actors

import (
	"fmt"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/lock"
)

// putReply writes a reply into a response. replyOf is its inverse.
func putReply(x *pb.Response, r lock.Reply) error {
	switch r := r.(type) {
	case *lock.Done:
		e, err := eventToPB(r.Event)
		x.Answer = &pb.Response_Done{Done: &pb.Done{Version: r.Version, Event: e, Replayed: r.Replayed, EventVersion: r.EventVersion}}
		return err
	case *lock.OpenResult:
		open, err := openToPB(r)
		x.Answer = &pb.Response_OpenResult{OpenResult: open}
		return err
	case *lock.Info:
		x.Answer = &pb.Response_Info{Info: &pb.Info{
			Id: int64(r.ID), Uuid: string(r.UUID), Version: r.Version, SerialNumber: r.SerialNumber, VendorName: r.VendorName,
			OwnerId: string(r.OwnerID), OrgId: string(r.OrgID), Keys: each(r.Keys, keyToPB), Residents: each(r.Residents, residentToPB),
			CreatedAt: timeToPB(r.CreatedAt), ChangedAt: timeToPB(r.ChangedAt), Reported: reportedToPB(r.Reported),
			Online: r.Online, Firmware: r.Firmware, DeadlineEnforced: r.DeadlineEnforced, Config: configToPB(r.Config), EventsAfter: r.EventsAfter,
		}}
	case *lock.KeyResult:
		e, err := eventToPB(r.Event)
		x.Answer = &pb.Response_KeyResult{KeyResult: &pb.KeyResult{
			Version: r.Version, CommandId: string(r.CommandID), Action: string(r.Action), Key: keyToPB(r.Key), Event: e,
			Outcome: string(r.Outcome), Reason: r.Reason, Message: r.Message, Deadline: timeToPB(r.Deadline),
		}}
		return err
	case *lock.BulkProgress:
		x.Answer = &pb.Response_BulkProgress{BulkProgress: &pb.BulkProgress{
			Id: string(r.ID), StartedAt: timeToPB(r.StartedAt), ChangedAt: timeToPB(r.ChangedAt), Ended: r.Ended, Waiting: r.Waiting,
			Keys: each(r.Keys, bulkKeyToPB),
		}}
	case *lock.TempKeyList:
		x.Answer = &pb.Response_TempKeyList{TempKeyList: &pb.TempKeyList{
			Id: int64(r.ID), Uuid: string(r.UUID), TempKeys: each(r.TempKeys, viewToPB), More: r.More,
		}}
	case *lock.TempKeyInfo:
		m := &pb.TempKeyInfo{
			Id: int64(r.ID), Uuid: string(r.UUID), SerialNumber: r.SerialNumber, VendorName: r.VendorName,
			Key: viewToPB(r.Key), Deleted: r.Deleted, Online: r.Online, Reported: reportedToPB(r.Reported),
		}
		x.Answer = &pb.Response_TempKeyInfo{TempKeyInfo: m}
		if r.Open != nil {
			open, err := openToPB(r.Open)
			m.Open = open
			return err
		}
	case *lock.PINRefused:
		x.Answer = &pb.Response_PinRefused{PinRefused: &pb.PINRefused{Version: r.Version, LockedFor: durationpb.New(r.LockedFor)}}
	case *lock.TempKeysDone:
		bulk, err := tempKeysDoneToPB(r)
		x.Answer = &pb.Response_TempKeysDone{TempKeysDone: bulk}
		return err
	case *lock.Greeting:
		m := &pb.Greeting{Epoch: r.Epoch, AckSeq: r.AckSeq, Resolve: texts(r.Resolve)}
		if r.Desired != nil {
			m.Desired = configToPB(*r.Desired)
		}
		x.Answer = &pb.Response_Greeting{Greeting: m}
	default:
		return fmt.Errorf("actors: the reply %T cannot travel between nodes", r)
	}
	return nil
}

func replyOf(x *pb.Response) (lock.Reply, error) {
	switch a := x.GetAnswer().(type) {
	case *pb.Response_Done:
		e, err := eventOf(a.Done.GetEvent())
		return &lock.Done{Version: a.Done.GetVersion(), Event: e, Replayed: a.Done.GetReplayed(), EventVersion: a.Done.GetEventVersion()}, err
	case *pb.Response_OpenResult:
		return openOf(a.OpenResult)
	case *pb.Response_Info:
		m := a.Info
		return &lock.Info{
			ID: lock.ID(m.GetId()), UUID: lock.UUID(m.GetUuid()), Version: m.GetVersion(), SerialNumber: m.GetSerialNumber(),
			VendorName: m.GetVendorName(), OwnerID: lock.UserID(m.GetOwnerId()), OrgID: lock.OrgID(m.GetOrgId()),
			Keys: each(m.GetKeys(), keyOf), Residents: each(m.GetResidents(), residentOf),
			CreatedAt: timeOf(m.GetCreatedAt()), ChangedAt: timeOf(m.GetChangedAt()), Reported: reportedOf(m.GetReported()),
			Online: m.GetOnline(), Firmware: m.GetFirmware(), DeadlineEnforced: m.GetDeadlineEnforced(),
			Config: configOf(m.GetConfig()), EventsAfter: m.GetEventsAfter(),
		}, nil
	case *pb.Response_KeyResult:
		m := a.KeyResult
		e, err := eventOf(m.GetEvent())
		return &lock.KeyResult{
			Version: m.GetVersion(), CommandID: lock.CommandID(m.GetCommandId()), Action: lock.KeyAction(m.GetAction()), Key: keyOf(m.GetKey()),
			Event: e, Outcome: lock.Outcome(m.GetOutcome()), Reason: m.GetReason(), Message: m.GetMessage(), Deadline: timeOf(m.GetDeadline()),
		}, err
	case *pb.Response_BulkProgress:
		m := a.BulkProgress
		return &lock.BulkProgress{
			ID: lock.JobID(m.GetId()), StartedAt: timeOf(m.GetStartedAt()), ChangedAt: timeOf(m.GetChangedAt()), Ended: m.GetEnded(),
			Waiting: m.GetWaiting(), Keys: each(m.GetKeys(), bulkKeyOf),
		}, nil
	case *pb.Response_TempKeyList:
		return tempKeyListOf(a.TempKeyList)
	case *pb.Response_TempKeyInfo:
		m := a.TempKeyInfo
		info := &lock.TempKeyInfo{
			ID: lock.ID(m.GetId()), UUID: lock.UUID(m.GetUuid()), SerialNumber: m.GetSerialNumber(), VendorName: m.GetVendorName(),
			Deleted: m.GetDeleted(), Online: m.GetOnline(), Reported: reportedOf(m.GetReported()),
		}
		var err error
		if info.Key, err = viewOf(m.GetKey()); err != nil {
			return nil, err
		}
		if m.GetOpen() == nil {
			return info, nil
		}
		open, err := openOf(m.GetOpen())
		info.Open = open
		return info, err
	case *pb.Response_PinRefused:
		return &lock.PINRefused{Version: a.PinRefused.GetVersion(), LockedFor: a.PinRefused.GetLockedFor().AsDuration()}, nil
	case *pb.Response_TempKeysDone:
		return tempKeysDoneOf(a.TempKeysDone)
	case *pb.Response_Greeting:
		m := a.Greeting
		g := &lock.Greeting{Epoch: m.GetEpoch(), AckSeq: m.GetAckSeq(), Resolve: words[lock.CommandID](m.GetResolve())}
		if m.Desired != nil {
			desired := configOf(m.Desired)
			g.Desired = &desired
		}
		return g, nil
	default:
		return nil, fmt.Errorf("actors: a response without an answer that this version knows")
	}
}

func bulkKeyToPB(k lock.BulkKey) *pb.BulkKey {
	return &pb.BulkKey{Key: keyToPB(k.Key), Status: string(k.Status), Reason: k.Reason}
}

func bulkKeyOf(x *pb.BulkKey) lock.BulkKey {
	return lock.BulkKey{Key: keyOf(x.GetKey()), Status: lock.BulkStatus(x.GetStatus()), Reason: x.GetReason()}
}

func openToPB(r *lock.OpenResult) (*pb.OpenResult, error) {
	x := &pb.OpenResult{
		Version: r.Version, RequestId: string(r.RequestID), CommandId: string(r.CommandID), TempKeyId: string(r.TempKeyID),
		Outcome: string(r.Outcome), Reason: r.Reason, Message: r.Message, Offline: r.Offline, DeadlineEnforced: r.DeadlineEnforced,
		UseReturned: r.UseReturned, At: timeToPB(r.At), Deadline: timeToPB(r.Deadline), Replayed: r.Replayed, Final: r.Final,
	}
	if r.Event == nil {
		return x, nil
	}
	e, err := eventToPB(r.Event)
	x.Event = e
	return x, err
}

func openOf(x *pb.OpenResult) (*lock.OpenResult, error) {
	r := &lock.OpenResult{
		Version: x.GetVersion(), RequestID: lock.RequestID(x.GetRequestId()), CommandID: lock.CommandID(x.GetCommandId()),
		TempKeyID: lock.TempKeyID(x.GetTempKeyId()), Outcome: lock.Outcome(x.GetOutcome()), Reason: x.GetReason(), Message: x.GetMessage(),
		Offline: x.GetOffline(), DeadlineEnforced: x.GetDeadlineEnforced(), UseReturned: x.GetUseReturned(),
		At: timeOf(x.GetAt()), Deadline: timeOf(x.GetDeadline()), Replayed: x.GetReplayed(), Final: x.GetFinal(),
	}
	e, err := eventOf(x.GetEvent())
	if err != nil || e == nil {
		return r, err
	}
	requested, ok := e.(*lock.LockOpenRequested)
	if !ok {
		return nil, fmt.Errorf("actors: an open was answered with the event %s", e.EventType())
	}
	r.Event = requested
	return r, nil
}

func eventToPB(e lock.Event) (*pb.Event, error) {
	if e == nil {
		return nil, nil
	}
	typ, data, err := lock.MarshalEvent(e)
	return &pb.Event{Type: typ, Data: data}, err
}

func eventOf(x *pb.Event) (lock.Event, error) {
	if x == nil {
		return nil, nil
	}
	return lock.UnmarshalReply(x.GetType(), x.GetData())
}
