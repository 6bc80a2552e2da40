package transport

import (
	"slices"
	"strconv"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

// How many calls of one session wait for the device's answer. A device that answers no command in time is reset, so that these are few. One
// that does not know how to answer a question goes on, and is asked it again and again: of these the oldest is forgotten, and no door
// stays shut for it.
const (
	maxCommands  = 128
	maxQuestions = 16
)

// call is a call to the device that it has not answered.
type call struct {
	seq     uint64           // its ID is "m" and this
	command lock.CommandID   // of an Open, and of what changes a key
	key     bool             // it changes a key
	config  uint64           // of a SetConfig
	asked   []lock.CommandID // of a CommandStatus

	forgotten bool // it was one question too many: what it asked is not known any more
}

// ask makes a call that is no command.
func (s *session) ask(c call, action string, payload wire.Payload) {
	s.send(opText, false, func(dst []byte) []byte { return wire.AppendCall(dst, s.newCall(c), action, payload) })
}

// askStatus asks the device what became of commands.
func (s *session) askStatus(e *lock.AskStatus) {
	asked := e.CommandIDs[:min(len(e.CommandIDs), wire.MaxStatuses)]
	s.ask(call{asked: asked}, wire.ActionCommandStatus, &wire.CommandStatus{CommandIDs: texts(asked)})
}

// setConfig tells the device how it should be set up. If it does not leave, the device hears of it when it is back.
func (s *session) setConfig(e *lock.SendConfig) {
	s.ask(call{config: e.Config.Number}, wire.ActionSetConfig, &wire.Config{Config: e.Config.Number, RelockMs: e.Config.RelockMs})
}

// commandsOut is how many commands wait for the device's answer. The mutex is held.
func (s *session) commandsOut() (n int) {
	for i := range s.calls {
		if s.calls[i].command != "" {
			n++
		}
	}
	return n
}

// newCall notes a call and gives its ID. The mutex is held.
func (s *session) newCall(c call) string {
	if c.command == "" && len(s.calls)-s.commandsOut() >= maxQuestions {
		oldest := slices.IndexFunc(s.calls, func(c call) bool { return c.command == "" })
		s.calls = slices.Delete(s.calls, oldest, oldest+1)
		s.forgotten++
	}
	s.lastCall++
	c.seq = s.lastCall
	s.calls = append(s.calls, c)
	return "m" + strconv.FormatUint(c.seq, 10)
}

// answered takes the call that a frame answers off the list. It reports false for a call that was never made.
func (s *session) answered(id []byte) (call, bool) {
	if len(id) < 2 || id[0] != 'm' || id[1] == '0' {
		return call{}, false
	}
	seq, err := strconv.ParseUint(string(id[1:]), 10, 64)
	if err != nil {
		return call{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.calls, func(c call) bool { return c.seq == seq })
	switch {
	case i >= 0:
	case seq <= s.lastCall && s.forgotten > 0: // it comes late, and was asked for
		s.forgotten--
		return call{forgotten: true}, true
	default:
		return call{}, false
	}
	c := s.calls[i]
	if s.calls = slices.Delete(s.calls, i, i+1); len(s.calls) == 0 {
		s.calls = nil // an idle session holds nothing
	}
	return c, true
}
