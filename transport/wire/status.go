package wire

import (
	"maps"
	"slices"
)

// CommandStatus asks a device what became of commands.
type CommandStatus struct {
	CommandIDs []string
}

// Parse reads the payload of a CommandStatus.
func (c *CommandStatus) Parse(payload []byte) error {
	*c = CommandStatus{}
	r := reader{b: payload}
	there := false
	r.object(func(key []byte) bool {
		if string(key) != "commandIds" {
			return false
		}
		c.CommandIDs, there = nil, true
		r.array(MaxStatuses, func() { c.CommandIDs = append(c.CommandIDs, r.name()) })
		return true
	})
	r.require(there, "commandIds")
	return r.end()
}

// Append writes the payload.
func (c *CommandStatus) Append(dst []byte) []byte {
	o := openObject(dst)
	o.texts("commandIds", c.CommandIDs)
	return o.close()
}

// Statuses is the answer to CommandStatus: what became of each command, by its ID.
type Statuses map[string]string

// Parse reads the payload of the answer to a CommandStatus.
func (s *Statuses) Parse(payload []byte) error {
	*s = make(Statuses)
	r := reader{b: payload}
	r.object(func(key []byte) bool {
		if len(key) == 0 || len(key) > MaxName || len(*s) == MaxStatuses {
			r.fail("bad command ID, or too many of them")
			return true
		}
		switch status := r.name(); status {
		case StatusExecuted, StatusMoved, StatusRefused, StatusNotSeen, StatusJournalLost:
			(*s)[string(key)] = status
		default:
			r.fail("unknown status of a command")
		}
		return true
	})
	return r.end()
}

// Append writes the payload, sorted by command ID.
func (s Statuses) Append(dst []byte) []byte {
	o := openObject(dst)
	for _, id := range slices.Sorted(maps.Keys(s)) {
		if o.some {
			o.dst = append(o.dst, ',')
		}
		o.some = true
		o.dst = append(appendString(o.dst, id), ':')
		o.dst = appendString(o.dst, s[id])
	}
	return o.close()
}
