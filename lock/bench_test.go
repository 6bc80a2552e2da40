package lock

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// openOnce is all that the kernel does for one open that the device confirms: two decisions, three events.
func openOnce(b *testing.B, s *State, c *OpenWithTempKey, now time.Time) []Event {
	d, err := Decide(s, c, now)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range d.Events {
		Evolve(s, e)
	}
	answer, err := Decide(s, &AnswerOpen{Session: s.Device.Session, CommandID: c.CommandID, Opened: true, Bolt: "unlocked"}, now)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range answer.Events {
		Evolve(s, e)
	}
	return append(d.Events, answer.Events...)
}

func benchState(b *testing.B, keys int) *State {
	s := new(State)
	Evolve(s, &LockCreated{Stamp: Stamp{At: noon, LockUUID: deviceUUID("u1"), OrgID: "acme"}, LockID: 1, Index: 1})
	for i := range keys {
		Evolve(s, &TempKeyCreated{Stamp: Stamp{At: noon}, Key: TempKey{
			UUID: name(i), AccessMode: Public, ValidFrom: noon, ValidUntil: noon.AddDate(1, 0, 0), CreatedBy: "acme", CreatedAt: noon,
		}})
	}
	d, err := Decide(s, &ConnectDevice{Device: Device{Session: Session{Node: "n", ID: 1}, Deadline: true, Journal: true}}, noon)
	require.NoError(b, err)
	for _, e := range d.Events {
		Evolve(s, e)
	}
	return s
}

func benchOpen(i, keys int) *OpenWithTempKey {
	return &OpenWithTempKey{
		TempKeyID: name(i % keys), RequestID: RequestID(fmt.Sprintf("00000000-0000-4000-a000-%012d", i)),
		CommandID: CommandID(fmt.Sprintf("00000000-0000-4000-b000-%012d", i)), Lifetime: 5 * time.Second, Hold: 10 * time.Second,
	}
}

// BenchmarkOpen must not depend on the number of keys.
func BenchmarkOpen(b *testing.B) {
	for _, keys := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			s, now := benchState(b, keys), noon
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(time.Second)
				b.StopTimer()
				c := benchOpen(i, keys)
				b.StartTimer()
				openOnce(b, s, c, now)
			}
		})
	}
}

// BenchmarkMarshal writes the three records of a confirmed open.
func BenchmarkMarshal(b *testing.B) {
	events := openOnce(b, benchState(b, 1), benchOpen(1, 1), noon)
	for name, marshal := range map[string]func(Event) ([]byte, error){
		"json": func(e Event) ([]byte, error) { return json.Marshal(e) },
		"ours": func(e Event) ([]byte, error) { _, data, err := MarshalEvent(e); return data, err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, e := range events {
					if _, err := marshal(e); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// busyLock is a lock after many opens within a day, with their records.
func busyLock(b *testing.B, keys, opens int) (*State, []string, [][]byte) {
	s := benchState(b, keys)
	var types []string
	var records [][]byte
	for i := range opens {
		for _, e := range openOnce(b, s, benchOpen(i, keys), noon.Add(time.Duration(i)*time.Second)) {
			typ, data, err := MarshalEvent(e)
			require.NoError(b, err)
			types, records = append(types, typ), append(records, data)
		}
	}
	return s, types, records
}

// BenchmarkColdLoad reads and applies 1,000 records, as an activation without a snapshot does.
func BenchmarkColdLoad(b *testing.B) {
	_, types, records := busyLock(b, 1, 333)
	b.ReportAllocs()
	for b.Loop() {
		s := new(State)
		for i, data := range records {
			e, err := UnmarshalEvent(types[i], data)
			if err != nil {
				b.Fatal(err)
			}
			Evolve(s, e)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	for _, size := range []struct{ keys, opens int }{{1, 0}, {1, 16}, {1, 1000}, {1000, 16}} {
		s, _, _ := busyLock(b, size.keys, size.opens)
		data, err := MarshalState(s)
		require.NoError(b, err)
		b.Run(fmt.Sprintf("write/keys=%d/opens=%d", size.keys, size.opens), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := MarshalState(s); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("read/keys=%d/opens=%d", size.keys, size.opens), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := UnmarshalState(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
