package transport

import (
	"strconv"
	"time"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

// maxStrays is how many answers to calls that were never made a session may send.
const maxStrays = 16

// receive does what a message of a greeted device says.
func (s *session) receive(message []byte) error {
	at := time.Now()
	f, err := wire.ParseFrame(message)
	if err != nil {
		return badFrame(err.Error())
	}
	switch f.Kind {
	case wire.Call:
		return s.called(&f, at)
	case wire.Result:
		s.hub.metrics.results.Inc()
	default:
		s.hub.metrics.received.WithLabelValues("error").Inc()
	}
	c, ok := s.answered(f.ID)
	if !ok {
		return s.stray()
	}
	s.rate.refund()
	switch {
	case c.forgotten:
		return nil
	case c.key:
		return s.keyAnswered(c.command, &f)
	case c.config != 0:
		return s.configAnswered(c.config, &f)
	case c.command != "":
		return s.openAnswered(c.command, &f, at)
	}
	return s.statusAnswered(c.asked, &f)
}

// stray lets a few answers to nothing pass: a call that was answered twice is not worth a reconnect.
func (s *session) stray() error {
	s.hub.metrics.strays.Inc()
	if s.strays++; s.strays > maxStrays {
		return badFrame("too many answers to calls that were never made")
	}
	return nil
}

// called answers a call of the device.
func (s *session) called(f *wire.Frame, at time.Time) error {
	var err error
	switch string(f.Action) {
	case wire.ActionHeartbeat:
		s.hub.metrics.received.WithLabelValues(wire.ActionHeartbeat).Inc()
		var beat wire.Heartbeat
		if err = beat.Parse(f.Payload); err == nil {
			s.setClock(beat.Mono, at)
			s.send(opText, true, func(dst []byte) []byte { return wire.AppendResult(dst, string(f.ID), wire.Empty{}) })
			return nil
		}
	case wire.ActionEvents:
		s.hub.metrics.received.WithLabelValues(wire.ActionEvents).Inc()
		var events wire.Events
		if err = events.Parse(f.Payload); err == nil {
			if !s.hub.events.take(s.lock, len(f.Payload), s.hub.elapsed()) {
				s.hub.metrics.excess.Inc()
				s.refuseCall(f.ID, wire.CodeBusy, "too many events; send them again with the next heartbeat")
				return nil
			}
			s.report(string(f.ID), events.Items)
			return nil
		}
	case wire.ActionHello:
		s.hub.metrics.received.WithLabelValues(wire.ActionHello).Inc()
		return badFrame("a session has one Hello")
	default:
		s.hub.metrics.received.WithLabelValues("unknown").Inc()
		s.refuseCall(f.ID, wire.CodeUnsupported, "the server does not know this action")
		return nil
	}
	s.refuseCall(f.ID, wire.CodeBadFormat, err.Error())
	return nil
}

func (s *session) refuseCall(id []byte, code, description string) {
	s.send(opText, true, func(dst []byte) []byte {
		return wire.AppendError(dst, string(id), code, description, wire.Empty{})
	})
}

func (s *session) setClock(mono int64, at time.Time) {
	s.mu.Lock()
	s.device.Clock = lock.Clock{Mono: mono, At: at}
	s.mu.Unlock()
}

// report hands events to the grain, which acknowledges them when they are durable.
func (s *session) report(callID string, items []wire.Event) {
	out := make([]lock.DeviceEvent, len(items))
	s.mu.Lock()
	for i, item := range items {
		out[i] = lock.DeviceEvent{Seq: item.Seq, Type: item.Type, Value: item.Value, Mono: item.Mono}
		// From here on the journal knows better than the Hello.
		switch item.Type {
		case "bolt":
			s.device.Reported.Bolt = ""
		case "door":
			s.device.Reported.Door = ""
		case "battery":
			s.device.Reported.Battery = 0
		case "config":
			if n, err := strconv.ParseUint(item.Value, 10, 64); err == nil {
				s.device.Reported.Config = n
			}
		}
	}
	over := s.phase >= closing // then nobody knows what of it is in order
	after := s.follow(out)
	s.mu.Unlock()
	if !over {
		s.hub.Grains.Tell(s.lock, &lock.ReportEvents{Session: s.device.Session, CallID: callID, After: after, Items: out})
	}
}

// follow tells after which event the session hands these over; 0 when it does so again, since no answer came. There is one at least. The mutex
// is held.
func (s *session) follow(items []lock.DeviceEvent) (after uint64) {
	if s.reported < items[0].Seq {
		after = s.reported
	}
	s.reported = max(s.reported, items[len(items)-1].Seq)
	return after
}

// openAnswered tells the grain what became of an open. An answer that makes no sense ends the session: the next one
// asks the device's journal.
func (s *session) openAnswered(id lock.CommandID, f *wire.Frame, at time.Time) error {
	answer := &lock.AnswerOpen{Session: s.device.Session, CommandID: id}
	if f.Kind == wire.Result {
		var result wire.OpenResult
		if err := result.Parse(f.Payload); err != nil {
			return badFrame("answer to Open: " + err.Error())
		}
		if result.CommandID != string(id) {
			return badFrame("answer to Open: it is about another command")
		}
		answer.Opened, answer.Executed, answer.Bolt = true, lock.WasExecuted, result.Bolt
		s.opened(result.Mono, at)
	} else {
		var details wire.Details
		if err := details.Parse(f.Details); err != nil {
			return badFrame("refusal of Open: " + err.Error())
		}
		if details.CommandID != "" && details.CommandID != string(id) {
			return badFrame("refusal of Open: it is about another command")
		}
		answer.Executed = executed(details.Executed)
		answer.Code, answer.Message = string(f.Code), f.Description
	}
	s.hub.Grains.Tell(s.lock, answer)
	return nil
}

func (s *session) opened(mono int64, at time.Time) {
	s.mu.Lock()
	s.device.Reported.Bolt = ""
	if mono > 0 {
		s.device.Clock = lock.Clock{Mono: mono, At: at}
	}
	s.mu.Unlock()
}

func executed(e wire.Executed) lock.Executed {
	switch e {
	case wire.NotExecuted:
		return lock.NotExecuted
	case wire.WasExecuted:
		return lock.WasExecuted
	default:
		return lock.ExecutedUnknown
	}
}

// statusAnswered tells the grain what the device's journal says. Of commands that the device leaves out nothing is
// known. A device that does not know the question has no journal to look into.
func (s *session) statusAnswered(asked []lock.CommandID, f *wire.Frame) error {
	statuses := make(map[lock.CommandID]lock.CommandStatus, len(asked))
	switch {
	case f.Kind == wire.Result:
		var told wire.Statuses
		if err := told.Parse(f.Payload); err != nil {
			return badFrame("answer to CommandStatus: " + err.Error())
		}
		for _, id := range asked {
			if status, ok := told[string(id)]; ok {
				statuses[id] = lock.CommandStatus(status)
			}
		}
	case string(f.Code) == wire.CodeUnsupported:
		for _, id := range asked {
			statuses[id] = lock.CommandJournalLost
		}
	default:
		return nil
	}
	s.hub.Grains.Tell(s.lock, &lock.AnswerStatus{Session: s.device.Session, Statuses: statuses})
	return nil
}
