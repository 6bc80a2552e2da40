package transport

import (
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

// keyAnswered tells the grain what became of a change of a permanent key. An answer that makes no sense ends the session:
// the next one asks the device's journal.
func (s *session) keyAnswered(id lock.CommandID, f *wire.Frame) error {
	answer := &lock.AnswerKey{Session: s.device.Session, CommandID: id}
	if f.Kind == wire.Result {
		var result wire.KeyResult
		if err := result.Parse(f.Payload); err != nil {
			return badFrame("answer about a key: " + err.Error())
		}
		if result.CommandID != string(id) {
			return badFrame("answer about a key: it is about another command")
		}
		answer.Done, answer.Executed = true, lock.WasExecuted
	} else {
		var details wire.Details
		if err := details.Parse(f.Details); err != nil {
			return badFrame("refusal about a key: " + err.Error())
		}
		if details.CommandID != "" && details.CommandID != string(id) {
			return badFrame("refusal about a key: it is about another command")
		}
		answer.Executed = executed(details.Executed)
		answer.Code, answer.Message = string(f.Code), f.Description
	}
	s.hub.Grains.Tell(s.lock, answer)
	return nil
}

// configAnswered tells the grain that the device has taken a configuration. A device that refuses it goes on as it did.
func (s *session) configAnswered(number uint64, f *wire.Frame) error {
	if f.Kind != wire.Result {
		s.hub.Logger.Debug("a device refuses a configuration", "lock", s.lock, "config", number, "code", string(f.Code))
		return nil
	}
	var result wire.ConfigResult
	if err := result.Parse(f.Payload); err != nil {
		return badFrame("answer to SetConfig: " + err.Error())
	}
	s.mu.Lock()
	s.device.Reported.Config = result.Config
	s.mu.Unlock()
	s.hub.Grains.Tell(s.lock, &lock.AnswerConfig{Session: s.device.Session, Number: result.Config})
	return nil
}
