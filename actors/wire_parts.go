package actors

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/lock"
)

func callerToPB(c lock.Caller) *pb.Caller {
	return &pb.Caller{Super: c.Super, OrgId: string(c.OrgID), UserId: string(c.UserID), Key: c.Key, Addr: c.Addr}
}

func callerOf(x *pb.Caller) lock.Caller {
	return lock.Caller{
		Super: x.GetSuper(), OrgID: lock.OrgID(x.GetOrgId()), UserID: lock.UserID(x.GetUserId()), Key: x.GetKey(), Addr: x.GetAddr(),
	}
}

func keyToPB(k lock.Key) *pb.Key {
	return &pb.Key{Uuid: k.UUID, IndexNumber: k.IndexNumber, UserId: string(k.UserID), OnDevice: string(k.OnDevice)}
}

func keyOf(x *pb.Key) lock.Key {
	if x == nil {
		return lock.Key{}
	}
	return lock.Key{UUID: x.GetUuid(), IndexNumber: x.IndexNumber, UserID: lock.UserID(x.GetUserId()), OnDevice: lock.Presence(x.GetOnDevice())}
}

func residentToPB(r lock.Resident) *pb.Resident {
	return &pb.Resident{UserId: string(r.UserID), Name: r.Name, Email: r.Email, Phone: r.Phone}
}

func residentOf(x *pb.Resident) lock.Resident {
	return lock.Resident{UserID: lock.UserID(x.GetUserId()), Name: x.GetName(), Email: x.GetEmail(), Phone: x.GetPhone()}
}

func sessionToPB(s lock.Session) *pb.Session { return &pb.Session{Node: s.Node, Id: s.ID} }

func sessionOf(x *pb.Session) lock.Session { return lock.Session{Node: x.GetNode(), ID: x.GetId()} }

func reportedToPB(r lock.Reported) *pb.Reported {
	return &pb.Reported{Bolt: r.Bolt, Door: r.Door, Battery: int64(r.Battery), Config: r.Config}
}

func reportedOf(x *pb.Reported) lock.Reported {
	return lock.Reported{Bolt: x.GetBolt(), Door: x.GetDoor(), Battery: int(x.GetBattery()), Config: x.GetConfig()}
}

// deviceToPB is called when the message is about to leave, and deviceOf gets the instant at which it came in. The reading of the
// device's clock is brought up to the first and counts from the second: however long it is under way, that makes it early.
func deviceToPB(d lock.Device) *pb.Device {
	x := &pb.Device{
		Session: sessionToPB(d.Session), Connected: d.Connected, BootId: d.BootID, Firmware: d.Firmware,
		Deadline: d.Deadline, Journal: d.Journal, Keys: d.Keys, Reported: reportedToPB(d.Reported), HelloMono: d.HelloMono,
	}
	if !d.Clock.At.IsZero() {
		mono := d.Clock.NotAfter(time.Now())
		x.Mono = &mono
	}
	return x
}

func deviceOf(x *pb.Device, at time.Time) lock.Device {
	d := lock.Device{
		Session: sessionOf(x.GetSession()), Connected: x.GetConnected(), BootID: x.GetBootId(), Firmware: x.GetFirmware(),
		Deadline: x.GetDeadline(), Journal: x.GetJournal(), Keys: x.GetKeys(), Reported: reportedOf(x.GetReported()), HelloMono: x.GetHelloMono(),
	}
	if x != nil && x.Mono != nil {
		d.Clock = lock.Clock{Mono: *x.Mono, At: at}
	}
	return d
}

func configToPB(c lock.Config) *pb.Config { return &pb.Config{Number: c.Number, RelockMs: c.RelockMs} }

func configOf(x *pb.Config) lock.Config {
	return lock.Config{Number: x.GetNumber(), RelockMs: x.GetRelockMs()}
}

func deviceEventToPB(e lock.DeviceEvent) *pb.DeviceEvent {
	return &pb.DeviceEvent{Seq: e.Seq, Type: e.Type, Value: e.Value, Mono: e.Mono}
}

func deviceEventOf(x *pb.DeviceEvent) lock.DeviceEvent {
	return lock.DeviceEvent{Seq: x.GetSeq(), Type: x.GetType(), Value: x.GetValue(), Mono: x.GetMono()}
}

func doorToPB(d *lock.Door) *pb.Door {
	if d == nil {
		return nil
	}
	return &pb.Door{Key: string(d.Key), Number: d.Number, Link: d.Link, Pin: d.PIN, Owner: d.Owner}
}

func doorOf(x *pb.Door) *lock.Door {
	if x == nil {
		return nil
	}
	return &lock.Door{Key: lock.TempKeyID(x.GetKey()), Number: x.GetNumber(), Link: x.GetLink(), PIN: x.GetPin(), Owner: x.GetOwner()}
}

// The zero time travels as nil.
func timeToPB(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeOf(x *timestamppb.Timestamp) time.Time {
	if x == nil {
		return time.Time{}
	}
	return x.AsTime()
}

func each[A, B any](list []A, f func(A) B) []B {
	if len(list) == 0 {
		return nil
	}
	out := make([]B, len(list))
	for i, a := range list {
		out[i] = f(a)
	}
	return out
}

func texts[S ~string](list []S) []string {
	return each(list, func(s S) string { return string(s) })
}

func words[S ~string](list []string) []S {
	return each(list, func(s string) S { return S(s) })
}

func errorToPB(e *lock.Error) *pb.Error {
	if e == nil {
		return nil
	}
	return &pb.Error{Kind: uint32(e.Kind), Reason: e.Reason, Message: e.Message, Field: e.Field}
}

func errorOf(x *pb.Error) *lock.Error {
	if x == nil {
		return nil
	}
	return &lock.Error{Kind: lock.Kind(x.GetKind()), Reason: x.GetReason(), Message: x.GetMessage(), Field: x.GetField()}
}
