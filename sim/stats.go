package sim

import (
	"fmt"
	"sync/atomic"

	"github.com/latchkey/latchkey/transport/wire"
)

// Stats counts what the devices that share it do. The zero value is ready.
type Stats struct {
	connected, connects, failures, rejected, replaced, drained atomic.Int64
	moved, repeated, expired, stale, refused                   atomic.Int64
	reboots                                                    atomic.Int64
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
func (s *Stats) Counts(devices int) Counts {
	connects := s.connects.Load()
	return Counts{
		Connected: s.connected.Load(), Connects: connects, Reconnects: max(0, connects-int64(devices)),
		Failures: s.failures.Load(), Rejected: s.rejected.Load(), Replaced: s.replaced.Load(), Drained: s.drained.Load(),
		Reboots: s.reboots.Load(), Moved: s.moved.Load(), Repeated: s.repeated.Load(),
		Expired: s.expired.Load(), Stale: s.stale.Load(), Refused: s.refused.Load(),
	}
}

// Late counts the opens that came too late in any way and moved nothing.
func (c Counts) Late() int64 { return c.Expired + c.Stale }

func (c Counts) String() string {
	return fmt.Sprintf("connected %d, opens %d, refused %d, late attempts refused %d (expired %d, stale %d), repeats %d, reconnects %d, "+
		"reboots %d, failed attempts %d, rejected %d, replaced %d",
		c.Connected, c.Moved, c.Refused, c.Late(), c.Expired, c.Stale, c.Repeated, c.Reconnects, c.Reboots, c.Failures, c.Rejected, c.Replaced)
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
