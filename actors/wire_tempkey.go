package actors

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/lock"
)

// scheduleToPB writes a schedule as the journal has it, so that the two cannot differ.
func scheduleToPB(s *lock.Schedule) []byte {
	if s == nil {
		return nil
	}
	data, _ := json.Marshal(s) // nothing in a schedule has a way to fail
	return data
}

func scheduleOf(data []byte) (*lock.Schedule, error) {
	if len(data) == 0 {
		return nil, nil
	}
	s := new(lock.Schedule)
	if err := lock.Decode(data, s); err != nil {
		return nil, fmt.Errorf("actors: a schedule that this version cannot read: %w", err)
	}
	return s, nil
}

func changesToPB(c lock.Changes) *pb.Changes {
	x := &pb.Changes{
		ValidFrom: optionalToPB(c.ValidFrom), ValidUntil: optionalToPB(c.ValidUntil), AccessMode: (*string)(c.AccessMode),
		Description: c.Description, GraceBeforeSeconds: c.GraceBeforeSeconds, GraceAfterSeconds: c.GraceAfterSeconds,
	}
	if c.MaxUses != nil {
		x.MaxUses = &pb.MaxUses{Limit: c.MaxUses.Limit}
	}
	if c.AllowedUserIDs != nil {
		x.AllowedUserIds = &pb.UserIDs{Ids: texts(*c.AllowedUserIDs)}
	}
	if c.Schedule != nil {
		x.Schedule = &pb.ScheduleChange{Schedule: scheduleToPB(c.Schedule.Schedule)}
	}
	return x
}

func changesOf(x *pb.Changes) (c lock.Changes, err error) {
	if x == nil {
		return c, nil
	}
	c = lock.Changes{
		ValidFrom: optionalOf(x.ValidFrom), ValidUntil: optionalOf(x.ValidUntil), AccessMode: (*lock.AccessMode)(x.AccessMode),
		Description: x.Description, GraceBeforeSeconds: x.GraceBeforeSeconds, GraceAfterSeconds: x.GraceAfterSeconds,
	}
	if x.MaxUses != nil {
		c.MaxUses = &lock.MaxUses{Limit: x.MaxUses.Limit}
	}
	if x.AllowedUserIds != nil {
		users := words[lock.UserID](x.AllowedUserIds.GetIds())
		c.AllowedUserIDs = &users
	}
	if x.Schedule != nil {
		c.Schedule = new(lock.ScheduleChange)
		c.Schedule.Schedule, err = scheduleOf(x.Schedule.GetSchedule())
	}
	return c, err
}

func viewToPB(v lock.TempKeyView) *pb.TempKeyView {
	x := &pb.TempKeyView{Status: string(v.Status), OpenUntil: optionalToPB(v.OpenUntil), Key: &pb.TempKey{
		Uuid: string(v.UUID), AccessMode: string(v.AccessMode), AllowedUserIds: texts(v.AllowedUserIDs),
		ValidFrom: timeToPB(v.ValidFrom), ValidUntil: timeToPB(v.ValidUntil), MaxUses: v.MaxUses, UsedCount: v.UsedCount,
		Description: v.Description, CreatedBy: v.CreatedBy, CreatedAt: timeToPB(v.CreatedAt), Door: doorToPB(v.Door),
		Schedule: scheduleToPB(v.Schedule), GraceBeforeSeconds: v.GraceBeforeSeconds, GraceAfterSeconds: v.GraceAfterSeconds,
	}}
	if v.NextWindow != nil {
		x.NextFrom, x.NextUntil = timestamppb.New(v.NextWindow.From), optionalToPB(v.NextWindow.Until)
	}
	return x
}

func viewOf(x *pb.TempKeyView) (lock.TempKeyView, error) {
	k := x.GetKey()
	if k == nil {
		k = new(pb.TempKey)
	}
	schedule, err := scheduleOf(k.GetSchedule())
	v := lock.TempKeyView{Status: lock.Status(x.GetStatus()), OpenUntil: optionalOf(x.GetOpenUntil()), TempKey: lock.TempKey{
		UUID: lock.TempKeyID(k.GetUuid()), AccessMode: lock.AccessMode(k.GetAccessMode()), AllowedUserIDs: words[lock.UserID](k.GetAllowedUserIds()),
		ValidFrom: timeOf(k.GetValidFrom()), ValidUntil: timeOf(k.GetValidUntil()), MaxUses: k.MaxUses, UsedCount: k.GetUsedCount(),
		Description: k.GetDescription(), CreatedBy: k.GetCreatedBy(), CreatedAt: timeOf(k.GetCreatedAt()), Door: doorOf(k.GetDoor()),
		Schedule: schedule, GraceBeforeSeconds: k.GetGraceBeforeSeconds(), GraceAfterSeconds: k.GetGraceAfterSeconds(),
	}}
	if from := x.GetNextFrom(); from != nil {
		v.NextWindow = &lock.NextWindow{From: from.AsTime(), Until: optionalOf(x.GetNextUntil())}
	}
	return v, err
}

func optionalToPB(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func optionalOf(x *timestamppb.Timestamp) *time.Time {
	if x == nil {
		return nil
	}
	t := x.AsTime()
	return &t
}

func tempKeyListOf(x *pb.TempKeyList) (*lock.TempKeyList, error) {
	list := &lock.TempKeyList{ID: lock.ID(x.GetId()), UUID: lock.UUID(x.GetUuid()), More: x.GetMore()}
	for _, k := range x.GetTempKeys() {
		v, err := viewOf(k)
		if err != nil {
			return nil, err
		}
		list.TempKeys = append(list.TempKeys, v)
	}
	return list, nil
}

func createTempKeyToPB(c *lock.CreateTempKey) *pb.CreateTempKey {
	return &pb.CreateTempKey{
		By: callerToPB(c.By), Uuid: string(c.UUID), AccessMode: string(c.AccessMode), AllowedUserIds: texts(c.AllowedUserIDs),
		ValidFrom: timeToPB(c.ValidFrom), ValidUntil: timeToPB(c.ValidUntil), MaxUses: c.MaxUses, Description: c.Description,
		Door: doorToPB(c.Door), GrantBy: timeToPB(c.GrantBy),
		Schedule: scheduleToPB(c.Schedule), GraceBeforeSeconds: c.GraceBeforeSeconds, GraceAfterSeconds: c.GraceAfterSeconds,
	}
}

func createTempKeyOf(m *pb.CreateTempKey) (*lock.CreateTempKey, error) {
	schedule, err := scheduleOf(m.GetSchedule())
	return &lock.CreateTempKey{
		By: callerOf(m.GetBy()), UUID: lock.TempKeyID(m.GetUuid()), AccessMode: lock.AccessMode(m.GetAccessMode()),
		AllowedUserIDs: words[lock.UserID](m.GetAllowedUserIds()), ValidFrom: timeOf(m.GetValidFrom()), ValidUntil: timeOf(m.GetValidUntil()),
		MaxUses: m.MaxUses, Description: m.GetDescription(), Door: doorOf(m.GetDoor()), GrantBy: timeOf(m.GetGrantBy()),
		Schedule: schedule, GraceBeforeSeconds: m.GetGraceBeforeSeconds(), GraceAfterSeconds: m.GetGraceAfterSeconds(),
	}, err
}

func updateTempKeyToPB(c *lock.UpdateTempKey) *pb.UpdateTempKey {
	return &pb.UpdateTempKey{By: callerToPB(c.By), TempKeyId: string(c.TempKeyID), Changes: changesToPB(c.Changes)}
}

func updateTempKeyOf(m *pb.UpdateTempKey) (*lock.UpdateTempKey, error) {
	changes, err := changesOf(m.GetChanges())
	return &lock.UpdateTempKey{By: callerOf(m.GetBy()), TempKeyID: lock.TempKeyID(m.GetTempKeyId()), Changes: changes}, err
}

func createTempKeysOf(m *pb.CreateTempKeys) (*lock.CreateTempKeys, error) {
	c := &lock.CreateTempKeys{By: callerOf(m.GetBy())}
	for _, x := range m.GetKeys() {
		key, err := createTempKeyOf(x)
		if err != nil {
			return nil, err
		}
		c.Keys = append(c.Keys, *key)
	}
	return c, nil
}

func updateTempKeysOf(m *pb.UpdateTempKeys) (*lock.UpdateTempKeys, error) {
	c := &lock.UpdateTempKeys{By: callerOf(m.GetBy())}
	for _, x := range m.GetUpdates() {
		update, err := updateTempKeyOf(x)
		if err != nil {
			return nil, err
		}
		c.Updates = append(c.Updates, *update)
	}
	return c, nil
}

func tempKeysDoneToPB(r *lock.TempKeysDone) (*pb.TempKeysDone, error) {
	m := new(pb.TempKeysDone)
	for i := range r.Items {
		item := &r.Items[i]
		e, err := eventToPB(item.Event)
		if err != nil {
			return nil, err
		}
		m.Items = append(m.Items, &pb.TempKeyDone{TempKeyId: string(item.TempKeyID), Version: item.Version, Event: e, Error: errorToPB(item.Err)})
	}
	return m, nil
}

func tempKeysDoneOf(m *pb.TempKeysDone) (*lock.TempKeysDone, error) {
	r := new(lock.TempKeysDone)
	for _, x := range m.GetItems() {
		e, err := eventOf(x.GetEvent())
		if err != nil {
			return nil, err
		}
		r.Items = append(r.Items, lock.TempKeyDone{TempKeyID: lock.TempKeyID(x.GetTempKeyId()), Version: x.GetVersion(), Event: e, Err: errorOf(x.GetError())})
	}
	return r, nil
}

func listTempKeysToPB(c *lock.ListTempKeys) *pb.ListTempKeys {
	m := &pb.ListTempKeys{
		By: callerToPB(c.By), Status: string(c.Only.Status), AccessMode: string(c.Only.AccessMode), CreatedBy: c.Only.CreatedBy,
		AfterCreatedAt: timeToPB(c.After.CreatedAt), AfterUuid: string(c.After.UUID), Limit: int64(c.Limit),
	}
	if c.Only.UUIDs != nil {
		m.Uuids = &pb.UserIDs{Ids: texts(c.Only.UUIDs)}
	}
	return m
}

func listTempKeysOf(m *pb.ListTempKeys) *lock.ListTempKeys {
	return &lock.ListTempKeys{
		By: callerOf(m.GetBy()), Limit: int(m.GetLimit()),
		Only: lock.TempKeyFilter{
			Status: lock.Status(m.GetStatus()), AccessMode: lock.AccessMode(m.GetAccessMode()), CreatedBy: m.GetCreatedBy(),
			UUIDs: words[lock.TempKeyID](m.GetUuids().GetIds()),
		},
		After: lock.TempKeyPlace{CreatedAt: timeOf(m.GetAfterCreatedAt()), UUID: lock.TempKeyID(m.GetAfterUuid())},
	}
}
