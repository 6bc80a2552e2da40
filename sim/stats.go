package sim

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/latchkey/latchkey/transport/wire"
)

// Stats counts what the devices that share it do. The zero value is ready.
type Stats struct {
	connected, connects, reconnects, failures, rejected, replaced, drained, reboots atomic.Int64
	moved, repeated, expired, stale, refused                                        atomic.Int64
}

// Counts is a reading of Stats.
type Counts struct {
	Connected  int64 // devices with a session now
	Connects   int64 // sessions since the start
	Reconnects int64 // sessions that were not a device's first
	Failures   int64 // attempts to connect that failed for another reason than Rejected
	Rejected   int64 // refusals of a device's credentials
	Replaced   int64 // sessions that ended because another socket took over
	Drained    int64 // sessions that ended because a node went away in good order
	Reboots    int64

	Moved    int64 // movements of a motor
	Repeated int64 // commands that came again and moved nothing
	Expired  int64 // opens refused because their deadline had passed
	Stale    int64 // opens refused because they were for another boot, session or epoch
	Refused  int64 // opens refused for any other reason: jam, battery, busy
}

// Counts reads the counters.
func (s *Stats) Counts() Counts {
	return Counts{
		Connected: s.connected.Load(), Connects: s.connects.Load(), Reconnects: s.reconnects.Load(),
		Failures: s.failures.Load(), Rejected: s.rejected.Load(), Replaced: s.replaced.Load(), Drained: s.drained.Load(),
		Reboots: s.reboots.Load(), Moved: s.moved.Load(), Repeated: s.repeated.Load(),
		Expired: s.expired.Load(), Stale: s.stale.Load(), Refused: s.refused.Load(),
	}
}

// Late counts the opens that came too late in any way and moved nothing.
func (c Counts) Late() int64 { return c.Expired + c.Stale }

// String is a line of progress. What did not happen is left out, but for the five that one looks for.
func (c Counts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "connected %d, opens %d, refused %d, late attempts refused %d, reconnects %d", c.Connected, c.Moved, c.Refused, c.Late(), c.Reconnects)
	for _, other := range []struct {
		name string
		n    int64
	}{
		{"expired", c.Expired},
		{"stale", c.Stale},
		{"repeats", c.Repeated},
		{"reboots", c.Reboots},
		{"failed attempts", c.Failures},
		{"rejected", c.Rejected},
		{"replaced", c.Replaced},
		{"drained", c.Drained},
	} {
		if other.n > 0 {
			fmt.Fprintf(&b, ", %s %d", other.name, other.n)
		}
	}
	return b.String()
}

func (s *Stats) countRefusal(code string) {
	switch code {
	case wire.CodeExpired:
		s.expired.Add(1)
	case wire.CodeStaleSession, wire.CodeStaleEpoch, wire.CodeBootMismatch:
		s.stale.Add(1)
	default:
		s.refused.Add(1)
	}
}
