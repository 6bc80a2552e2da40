package sim

import "github.com/latchkey/latchkey/transport/wire"

const (
	commandsKept = 4096 // command IDs that a device remembers; far more than a lifetime of 15 s can bring
	eventsKept   = 1024 // events that wait for their acknowledgement; then the oldest give way
)

// commandState is how far a device came with a command.
type commandState string

const (
	// commandStarted is written before the motor moves. Found after a reboot, it means that nobody knows.
	commandStarted  commandState = "started"
	commandExecuted commandState = "executed"
	commandRefused  commandState = "refused"
)

// commandRecord is what a device's journal says of one command, and what a repeat of it is answered with.
type commandRecord struct {
	ID    string       `json:"id"`
	State commandState `json:"state"`
	Code  string       `json:"code,omitempty"` // of the error that it was answered with
	Mono  int64        `json:"mono,omitempty"` // when the motor had moved
}

// Flash is the memory of a device that survives its reboots: the journal of command IDs, and the events that the server has
// not acknowledged. A Flash belongs to one device, whose mutex guards it; with a
// FlashFile behind it, it also survives the process.
type Flash struct {
	uuid string
	file *FlashFile // nil: in memory only

	commands map[string]*commandRecord
	order    []string // of commands, oldest first
	seq      uint64   // of the newest event
	events   []wire.Event
	keys     []Key
	config   wire.Config
	// whole says that the journal holds every command that the server may still ask about. Until a server has said
	// so (see greeted), an ID that is not in the journal may have been obeyed before the journal began.
	whole bool
}

// NewFlash makes an empty flash that lives in memory only.
func NewFlash() *Flash { return new(Flash) }

func (f *Flash) find(commandID string) (commandRecord, bool) {
	r := f.commands[commandID]
	if r == nil {
		return commandRecord{}, false
	}
	return *r, true
}

// put journals a command, anew or with another state.
func (f *Flash) put(r commandRecord) error {
	f.apply(r)
	return f.save(flashLine{Command: &r})
}

func (f *Flash) apply(r commandRecord) {
	if old := f.commands[r.ID]; old != nil {
		*old = r
		return
	}
	if f.commands == nil {
		f.commands = make(map[string]*commandRecord)
	}
	f.commands[r.ID] = &r
	f.order = append(f.order, r.ID)
	if len(f.order) > commandsKept {
		delete(f.commands, f.order[0])
		f.order[0] = ""
		f.order = f.order[1:]
	}
}

// status answers CommandStatus for one command.
func (f *Flash) status(commandID string) string {
	r, seen := f.find(commandID)
	switch {
	case !seen && !f.whole, r.State == commandStarted:
		return wire.StatusJournalLost
	case !seen:
		return wire.StatusNotSeen
	case r.State == commandExecuted && r.Code != "":
		return wire.StatusMoved // and its answer was an error: nobody must be told that the door is open
	case r.State == commandExecuted:
		return wire.StatusExecuted
	default:
		return wire.StatusRefused
	}
}

// addEvent gives an event the next seq and keeps it until it is acknowledged.
func (f *Flash) addEvent(typ, value string, mono int64) error {
	f.seq++
	e := wire.Event{Seq: f.seq, Type: typ, Value: value, Mono: mono}
	f.keepEvent(e)
	return f.save(flashLine{Event: &e})
}

func (f *Flash) keepEvent(e wire.Event) {
	if len(f.events) == eventsKept {
		f.events = append(f.events[:0], f.events[1:]...)
	}
	f.events = append(f.events, e)
}

// acknowledge forgets the events up to seq.
func (f *Flash) acknowledge(seq uint64) error {
	n := 0
	for n < len(f.events) && f.events[n].Seq <= seq {
		n++
	}
	if n == 0 {
		return nil
	}
	f.events = append(f.events[:0], f.events[n:]...)
	if len(f.events) == 0 {
		f.events = nil // a resting device costs nothing
	}
	return f.save(flashLine{Acked: seq})
}

// greeted takes what the server says in its answer to Hello. A server that has no command to resolve will never ask about one
// from before this flash.
func (f *Flash) greeted(ackSeq uint64, resolves bool) error {
	if !resolves && !f.whole {
		f.whole = true
		if err := f.save(flashLine{Whole: true}); err != nil {
			return err
		}
	}
	if ackSeq <= f.seq && f.seq-ackSeq <= wire.MaxSeqAhead {
		return f.acknowledge(ackSeq)
	}
	f.renumber(ackSeq)
	return f.save(flashLine{Renumbered: &ackSeq})
}

// renumber gives the waiting events the numbers after ackSeq. It is for a flash whose numbers the server cannot follow. If they are behind,
// it knew this flash before it was erased, or another device, and would take new events for repeats; if they are far ahead, the
// device has served another lock, and its events would be taken for nonsense for ever.
func (f *Flash) renumber(ackSeq uint64) {
	f.seq = ackSeq
	for i := range f.events {
		f.seq++
		f.events[i].Seq = f.seq
	}
}

// erase loses everything, as a worn-out or reset flash does.
func (f *Flash) erase() error {
	*f = Flash{uuid: f.uuid, file: f.file}
	return f.save(flashLine{Erased: true})
}

func (f *Flash) save(l flashLine) error {
	if f.file == nil {
		return nil
	}
	l.Lock = f.uuid
	return f.file.append(l)
}
