package lock

import "time"

// Activate tells a state that was brought together from the journal when this process took it over. The deadlines in it
// were set by the clock of another process, which may have been seconds ahead of this one's or behind; nobody knows. What is certain
// is that each command was accepted before now, so that by our own monotonic clock it is over when the time that it was given has
// passed once more. That time is taken from two instants of one clock: a command that was held may have been sent by a third
// process. Until then nothing relies on a command being over; and nothing is sent that should be over by then.
func Activate(s *State, now time.Time) {
	for _, cmd := range s.Commands {
		given := cmd.Deadline.Sub(cmd.At)
		if !cmd.SentAt.IsZero() {
			given = cmd.Deadline.Sub(cmd.SentAt)
		}
		if cmd.Outcome != Reserved {
			given = min(given, MaxLifetime)
		}
		cmd.latest = now.Add(given)
	}
}

// until is when a command that has not left must not leave any more.
func (c *DeviceCommand) until() time.Time {
	if !c.latest.IsZero() && c.latest.Before(c.Deadline) {
		return c.latest
	}
	return c.Deadline
}

// over is when a command that may be on the wire can certainly not move the motor any more.
func (c *DeviceCommand) over() time.Time {
	if !c.latest.IsZero() {
		return c.latest
	}
	return c.Deadline
}
