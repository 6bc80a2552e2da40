package tests

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// day is a small and good piece of evidence: a key for two uses, an open, one that was refused by its device, and a third
// that joined one by the owner; then the key is deleted.
type day struct {
	*evidence
	t *testing.T
}

func at(ms int) time.Time {
	return time.UnixMilli(1_800_000_000_000).Add(time.Duration(ms) * time.Millisecond)
}

func (d *day) record(ms int, e lock.Event) {
	typ, data, err := lock.MarshalEvent(e)
	require.NoError(d.t, err)
	n := uint64(len(d.records) + 1)
	d.records = append(d.records, journal.Record{Stream: "lock/1", Version: n, Position: n, Type: typ, Time: at(ms), Data: data})
}

func (d *day) used(ms int, request lock.RequestID, count int64) {
	d.record(ms, &lock.TempKeyUsed{Stamp: lock.Stamp{At: at(ms)}, TempKeyID: "key", UsedCount: count, RequestID: request})
}

func (d *day) requested(ms int, request lock.RequestID, key lock.TempKeyID, command lock.CommandID, joined bool) {
	d.record(ms, &lock.LockOpenRequested{Stamp: lock.Stamp{At: at(ms)}, RequestID: request, TempKeyID: key, CommandID: command, Joined: joined, Deadline: at(ms + 5000)})
}

func (d *day) moved(ms int, command string) {
	d.moves = append(d.moves, sim.Movement{Time: at(ms), LockID: 1, CommandID: command, MarginMs: 4000, DeadlineEnforced: true})
}

func (d *day) asked(from, to int, a act) {
	a.lock, a.called, a.answered, a.attempts = 1, at(from), at(to), 1
	d.acts = append(d.acts, a)
}

func goodDay(t *testing.T) *day {
	d := &day{&evidence{epoch: at(0)}, t}
	two := int64(2)
	d.record(10, &lock.LockCreated{LockID: 1})
	d.record(20, &lock.TempKeyCreated{Key: lock.TempKey{UUID: "key", MaxUses: &two}})
	d.asked(15, 25, act{kind: createKey, key: "key", limit: 2, status: 200, version: 2, event: "TempKeyCreated"})

	d.used(1000, "a", 1)
	d.requested(1000, "a", "key", "A", false)
	d.moved(1010, "A")
	d.record(1020, &lock.LockOpened{CommandID: "A"})
	d.asked(990, 1030, act{kind: openByKey, key: "key", request: "a", status: 303})
	d.asked(1040, 1050, act{kind: lookAt, key: "key", request: "a", status: 200, outcome: lock.Opened})

	d.used(2000, "b", 2)
	d.requested(2000, "b", "key", "B", false)
	d.asked(1990, 2100, act{kind: openByKey, key: "key", request: "b", status: 303})
	d.asked(2010, 2020, act{kind: openByKey, key: "key", request: "x", status: 403, reason: "temp-key-used-up"})
	d.record(2200, &lock.LockOpenFailed{CommandID: "B", Outcome: lock.Refused, Reason: "jammed"})
	d.record(2200, &lock.TempKeyUseReturned{Stamp: lock.Stamp{At: at(2200)}, TempKeyID: "key", UsedCount: 1, RequestID: "b", CommandID: "B"})
	d.asked(2500, 2510, act{kind: listKeys, status: 200, uses: map[lock.TempKeyID]int64{"key": 1}})

	d.requested(3000, "o", "", "C", false)
	d.asked(2990, 3100, act{kind: openLock, request: "o", status: 200, outcome: lock.Opened, version: 10, event: "LockOpenRequested"})
	d.used(3010, "c", 2)
	d.requested(3010, "c", "key", "C", true)
	d.asked(3005, 3100, act{kind: openByKey, key: "key", request: "c", status: 303})
	d.moved(3020, "C")
	d.record(3030, &lock.LockOpened{CommandID: "C"})

	d.record(4000, &lock.TempKeyDeleted{TempKeyID: "key"})
	d.asked(3990, 4010, act{kind: deleteKey, key: "key", status: 200, version: 14, event: "TempKeyDeleted"})
	d.asked(4020, 4030, act{kind: openByKey, key: "key", request: "y", status: 404})
	d.asked(4040, 4050, act{kind: createKey, key: "key", limit: 2, status: 409, reason: "temp-key-uuid-taken"})
	return d
}

// drop takes a record out, and closes the gap that it leaves.
func (d *day) drop(typ string, nth int) {
	i := -1
	for range nth {
		next := slices.IndexFunc(d.records[i+1:], func(r journal.Record) bool { return r.Type == typ })
		require.GreaterOrEqual(d.t, next, 0)
		i += 1 + next
	}
	d.records = slices.Delete(d.records, i, i+1)
	for i := range d.records {
		d.records[i].Version, d.records[i].Position = uint64(i+1), uint64(i+1)
	}
}

func (d *day) find(kind kind, request lock.RequestID) *act {
	return &d.acts[slices.IndexFunc(d.acts, func(a act) bool { return a.kind == kind && a.request == request })]
}

// A checker that never complains checks nothing: each of these lies has to be found out.
func TestInvariantsFindWhatIsWrong(t *testing.T) {
	t.Parallel()
	bad, _ := goodDay(t).violations()
	require.Empty(t, bad)
	for name, c := range map[string]struct {
		invariant string
		lie       func(d *day)
	}{
		"one use too many": {"I1", func(d *day) { d.used(5000, "z", 3) }},
		"a count that jumps": {"I1", func(d *day) {
			d.drop("TempKeyUseReturned", 1)
		}},
		"a motor that moves for a use that came back": {"I1", func(d *day) { d.moved(2100, "B") }},
		"a use that comes back twice": {"I1", func(d *day) {
			d.record(5000, &lock.TempKeyUseReturned{TempKeyID: "key", UsedCount: 1, RequestID: "b", CommandID: "B"})
		}},
		"an open without a use":         {"I1", func(d *day) { d.requested(5000, "z", "key", "Z", false) }},
		"an accepted open that is lost": {"I2", func(d *day) { d.asked(5000, 5010, act{kind: openByKey, key: "key", request: "z", status: 303}) }},
		"a lost event":                  {"I2", func(d *day) { d.drop("TempKeyDeleted", 1) }},
		"an open door that stayed shut": {"I2", func(d *day) { d.moves = d.moves[1:] }},
		"a shut door that opened":       {"I2", func(d *day) { d.find(lookAt, "a").outcome = lock.Refused }},
		"nothing done, but done":        {"I2", func(d *day) { d.find(openByKey, "c").status = 503 }},
		"reports of a device that are lost": {"I2", func(d *day) {
			d.record(5000, &lock.DeviceReported{Items: []lock.DeviceEvent{{Seq: 1}, {Seq: 3}}})
		}},
		"a late motor by its own clock": {"I3", func(d *day) { d.moves[0].MarginMs = -1 }},
		"a late motor by ours":          {"I3", func(d *day) { d.moves[0].Time = at(7000) }},
		"a motor that moves twice":      {"I4", func(d *day) { d.moved(1015, "A") }},
		"a motor that nobody told to":   {"I4", func(d *day) { d.moved(5000, "Z") }},
		"a request that counts twice": {"I4", func(d *day) {
			d.used(5000, "a", 3)
			d.requested(5000, "a", "key", "Z", false)
		}},
		"a refused open that moved":    {"I4", func(d *day) { d.moved(2100, "B") }},
		"a gap in the versions":        {"I5", func(d *day) { d.records[5].Version++ }},
		"a gap in the positions":       {"I5", func(d *day) { d.records[5].Position++ }},
		"a motor after the revocation": {"I6", func(d *day) { d.moves[1].Time = at(4011) }},
		"a use after the revocation":   {"I6", func(d *day) { d.used(5000, "z", 3) }},
		"an accepted open too many":    {"I7", func(d *day) { d.find(openByKey, "x").status = 303 }},
		"a refusal of a good key":      {"I7", func(d *day) { d.find(openByKey, "a").status = 403 }},
		"a list of yesterday": {"I7", func(d *day) {
			d.acts[slices.IndexFunc(d.acts, func(a act) bool { return a.kind == listKeys })].uses["key"] = 2
		}},
		"a key that opens when deleted": {"I7", func(d *day) { d.find(openByKey, "y").status = 303 }},
		"a deleted key that comes back": {"I7", func(d *day) { d.acts[len(d.acts)-1].status = 200 }},
	} {
		d := goodDay(t)
		c.lie(d)
		bad, _ := d.violations()
		require.True(t, slices.ContainsFunc(bad, func(s string) bool { return strings.HasPrefix(s, c.invariant+":") }), "%s is not found out: %v", name, bad)
	}
}
