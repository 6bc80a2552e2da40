package actors

import (
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/remote"

	pb "github.com/latchkey/latchkey/actors/actorspb"
	"github.com/latchkey/latchkey/lock"
)

// delivery is an effect on its way to another node.
type delivery struct {
	origin   string
	number   uint64
	lock     lock.ID
	effect   lock.Effect
	returned func() // the effect certainly never left
}

// Returned is called when there was no connection to send it by.
func (d *delivery) Returned() { d.returned() }

// Serialize turns the effect into what travels. It is called when the message is about to leave, so what is left of a
// deadline is what is left then.
func (d *delivery) Serialize() (remote.RootSerialized, error) {
	x := &pb.Effect{Origin: d.origin, Number: d.number, LockId: int64(d.lock), Session: sessionToPB(d.effect.To())}
	switch e := d.effect.(type) {
	case *lock.SendOpen:
		x.Effect = &pb.Effect_SendOpen{SendOpen: sendOpenToPB(e)}
	case *lock.SendKey:
		x.Effect = &pb.Effect_SendKey{SendKey: &pb.SendKey{Order: sendOpenToPB(&e.SendOpen), Action: string(e.Action), Key: keyToPB(e.Key)}}
	case *lock.SendConfig:
		x.Effect = &pb.Effect_SendConfig{SendConfig: &pb.SendConfig{Config: configToPB(e.Config)}}
	case *lock.AskStatus:
		x.Effect = &pb.Effect_AskStatus{AskStatus: &pb.AskStatus{CommandIds: texts(e.CommandIDs)}}
	case *lock.AckEvents:
		x.Effect = &pb.Effect_AckEvents{AckEvents: &pb.AckEvents{CallId: e.CallID, AckSeq: e.AckSeq}}
	case *lock.CloseSession:
		x.Effect = &pb.Effect_CloseSession{CloseSession: &pb.CloseSession{Cause: uint32(e.Cause)}}
	default:
		return nil, fmt.Errorf("actors: the effect %T cannot travel between nodes", e)
	}
	return x, nil
}

var errNoBound = errors.New("actors: an open from another node without a bound on the device's clock")

// effectOf reads an effect that came from another node. The time that an open has left counts from its arrival, which is too long by
// the time that it was under way; the bound on the device's clock makes up for that, so there must be one.
func effectOf(in *pb.IncomingEffect) (lock.Effect, error) {
	session := sessionOf(in.GetSession())
	switch e := in.Effect.GetEffect().(type) {
	case *pb.Effect_SendOpen:
		return sendOpenOf(e.SendOpen, session, in.At)
	case *pb.Effect_SendKey:
		order, err := sendOpenOf(e.SendKey.GetOrder(), session, in.At)
		if err != nil {
			return nil, err
		}
		return &lock.SendKey{SendOpen: *order, Action: lock.KeyAction(e.SendKey.GetAction()), Key: keyOf(e.SendKey.GetKey())}, nil
	case *pb.Effect_SendConfig:
		return &lock.SendConfig{Session: session, Config: configOf(e.SendConfig.GetConfig())}, nil
	case *pb.Effect_AskStatus:
		return &lock.AskStatus{Session: session, CommandIDs: words[lock.CommandID](e.AskStatus.GetCommandIds())}, nil
	case *pb.Effect_AckEvents:
		return &lock.AckEvents{Session: session, CallID: e.AckEvents.GetCallId(), AckSeq: e.AckEvents.GetAckSeq()}, nil
	case *pb.Effect_CloseSession:
		return &lock.CloseSession{Session: session, Cause: lock.CloseCause(e.CloseSession.GetCause())}, nil
	default:
		return nil, errors.New("actors: an effect that this version does not know")
	}
}

func sendOpenToPB(e *lock.SendOpen) *pb.SendOpen {
	return &pb.SendOpen{
		CommandId: string(e.CommandID), BootId: e.BootID, Epoch: e.Epoch,
		RemainingMs: time.Until(e.NotAfter).Milliseconds(), NotAfterMono: e.NotAfterMono,
	}
}

func sendOpenOf(m *pb.SendOpen, session lock.Session, at time.Time) (*lock.SendOpen, error) {
	if m.GetNotAfterMono() == 0 {
		return nil, errNoBound
	}
	return &lock.SendOpen{
		Session: session, CommandID: lock.CommandID(m.GetCommandId()), BootID: m.GetBootId(), Epoch: m.GetEpoch(),
		NotAfter: at.Add(time.Duration(m.GetRemainingMs()) * time.Millisecond), NotAfterMono: m.GetNotAfterMono(),
	}, nil
}
