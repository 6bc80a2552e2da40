package lock

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/latchkey/latchkey/internal/dose"
)

const walkers = 2

// TestMain makes 10,000 random walks the default of this package, and 1,000,000 in `make faults`; -rapid.checks asks for another number of each walker.
func TestMain(m *testing.M) {
	flag.Parse()
	defaults := map[string]string{"rapid.checks": strconv.Itoa(dose.Of(10_000, 1_000_000) / walkers), "rapid.steps": "45"}
	flag.Visit(func(f *flag.Flag) { delete(defaults, f.Name) })
	for name, value := range defaults {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// TestRandomWalks lets platforms, guests, a device, its network, a journal that is behind and crashes do whatever they
// can do to one lock, and looks after each step whether the promises were kept. What is looked at is in world.observe
// and world.moved, by the device's own record of its motor.
func TestRandomWalks(t *testing.T) {
	t.Parallel()
	for i := range walkers {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, walk)
		})
	}
}

func walk(t *rapid.T) {
	w := newWorld(t)
	t.Repeat(map[string]func(*rapid.T){
		"":               w.check,
		"time":           w.pass,
		"time out":       w.timeOut,
		"tick":           w.tick,
		"create key":     w.createKey,
		"update key":     w.updateKey,
		"delete key":     w.deleteKey,
		"open":           w.open,
		"open on the go": w.openOnTheGo,
		"open as owner":  w.openAsOwner,
		"repeat":         w.repeat,
		"card":           w.changeCard,
		"card on the go": w.cardOnTheGo,
		"cards":          w.bulkCards,
		"another device": w.replace,
		"connect":        w.connect,
		"reconnect":      w.reconnect,
		"keep":           w.keep,
		"cut":            w.cut,
		"all goes well":  w.flow,
		"commit":         w.commitOne,
		"crash":          w.crash,
		"conflict":       w.conflict,
		"effect":         w.effect,
		"device reads":   w.deviceReads,
		"device reboots": w.deviceReboots,
		"uplink":         w.uplink,
		"uplink twice":   w.uplinkTwice,
		"uplink lost":    w.uplinkLost,
	})
	w.finish(t)
}

// check is what must hold after every step.
func (w *world) check(t *rapid.T) {
	w.checkTable(t)
	kept := w.acks[:0]
	for _, a := range w.acks {
		if !w.safe(a) {
			kept = append(kept, a)
			continue
		}
		a.done()
	}
	w.acks = kept
}

// safe tells whether the reply of a durable decision may be given.
func (w *world) safe(a ack) bool {
	if len(a.SafeAfter) == 0 || !w.now.Before(a.SafeAt) {
		return true
	}
	for _, id := range a.SafeAfter {
		if cmd := w.s.command(id); cmd != nil && cmd.Outcome == Sent {
			return false
		}
	}
	return true
}

// finish lets the time run out and looks at the whole walk.
func (w *world) finish(t *rapid.T) {
	w.commit(t, len(w.staged))
	for range 3 * maxCommands {
		due, ok := NextDeadline(w.s)
		if !ok {
			break
		}
		if due.After(w.now) {
			w.now = due
		}
		w.tick(t)
		w.commit(t, len(w.staged))
	}
	_, waiting := NextDeadline(w.s)
	require.False(t, waiting, "something waits for ever")
	for id, r := range w.requests {
		result, ok := w.s.OpenResult(id)
		require.True(t, ok, "%s was forgotten", id)
		require.True(t, result.Outcome.Final(), "%s never ended: %s", id, result.Outcome)
		require.Equal(t, r.outcome, result.Outcome, "what became of %s", id)
		require.Equal(t, r.refunded, result.UseReturned, "%s: return of the use", id)
	}
	for _, key := range w.keys {
		opens, limit := int64(0), int64(0)
		for _, r := range w.requests {
			if r.key == key && !r.left && w.commands[r.command].moved > 0 {
				opens++
			}
		}
		for _, terms := range key.terms {
			if terms.MaxUses == nil {
				limit = opens
				break
			}
			limit = max(limit, *terms.MaxUses)
		}
		require.LessOrEqual(t, opens, limit, "%s opened more often than it ever could", key.id)
	}
	w.checkReplay(t)
}

// checkReplay compares the live state with replays of the journal, from the start and from snapshots.
func (w *world) checkReplay(t *rapid.T) {
	live := marshal(t, w.s)
	require.Equal(t, live, marshal(t, w.replay(0, new(State))), "the replay differs from what ran live")
	at := rapid.IntRange(0, len(w.journal)).Draw(t, "snapshot at")
	s := new(State)
	for _, e := range w.journal[:at] {
		Evolve(s, e)
	}
	again, err := UnmarshalState([]byte(marshal(t, s)))
	require.NoError(t, err)
	require.Equal(t, live, marshal(t, w.replay(at, again)), "the replay from the snapshot differs from what ran live")
}

// replay evolves s by the journal from a place on, and by what is staged.
func (w *world) replay(from int, s *State) *State {
	for _, e := range w.journal[from:] {
		Evolve(s, e)
	}
	for _, step := range w.staged {
		for _, e := range step.records {
			Evolve(s, e)
		}
	}
	return s
}

// stored is the event as it comes back from the journal.
func stored(t require.TestingT, e Event) Event {
	typ, data, err := MarshalEvent(e)
	require.NoError(t, err)
	back, err := UnmarshalEvent(typ, data)
	require.NoError(t, err)
	return back
}

func marshal(t require.TestingT, s *State) string {
	data, err := MarshalState(s)
	require.NoError(t, err)
	return string(data)
}

// name turns a small number into a UUID that can be read in a log.
func name(n int) TempKeyID { return TempKeyID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }

func ptr[T any](v T) *T { return &v }

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
