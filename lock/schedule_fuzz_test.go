package lock

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzParseTimeOfDay(f *testing.F) {
	for _, s := range []string{"00:00", "24:00", "24:01", "23:60", "9:00", "09:00", "+9:00", "09:00 ", "０9:00", "-1:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseTimeOfDay(s)
		if err != nil {
			require.Zero(t, c)
			return
		}
		require.Equal(t, s, c.String())
		require.True(t, 0 <= c && c <= endOfDay)
	})
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"1970-01-01", "1969-12-31", "2199-12-31", "2200-01-01", "2026-02-29", "2028-02-29", "2026-2-9", "+2026-02-09", "2026-02-09T00:00:00Z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDate(s)
		if err != nil {
			require.Zero(t, d)
			return
		}
		require.Equal(t, s, d.String())
		require.True(t, d.valid())
	})
}

// FuzzSchedule: whatever a record or a caller says, reading it and asking for its hours neither panics nor goes on for ever, and
// what is accepted comes back the same.
func FuzzSchedule(f *testing.F) {
	for _, s := range []string{
		`{"timeZone":"Europe/Berlin","rules":[{"days":["mon"],"from":"22:00","until":"06:00"}],"exceptDates":["2026-12-24"]}`,
		`{"timeZone":"Pacific/Apia","extraDates":[{"date":"2011-12-30","from":"00:00","until":"24:00"}]}`,
		`{"timeZone":"UTC","rules":[{"days":["mon"],"from":"00:00","until":"00:01"},{"days":["mon"],"from":"00:02","until":"00:03"}]}`,
		`{"timeZone":"","rules":[{}]}`, `{"rules":null}`, `null`,
	} {
		f.Add([]byte(s), int64(1_777_777_777_000), int64(3600))
	}
	f.Fuzz(func(t *testing.T, data []byte, at, grace int64) {
		s := new(Schedule)
		if json.Unmarshal(data, s) != nil {
			return
		}
		now := time.UnixMilli(at % (1 << 50))
		k := TempKey{
			AccessMode: Public, Schedule: s, ValidFrom: now.Add(-time.Hour), ValidUntil: now.AddDate(1, 0, 0),
			GraceBeforeSeconds: grace % maxGraceSeconds, GraceAfterSeconds: grace / 2 % maxGraceSeconds,
		}
		view := k.view(now)
		if k.check() != nil {
			return
		}
		require.NotEqual(t, StatusUsedUp, view.Status)
		k.Schedule = s.stored()
		require.NoError(t, k.check())
		require.Equal(t, view.Status, k.view(now).Status)
		require.Equal(t, view.NextWindow, k.view(now).NextWindow)
		text, err := json.Marshal(k.Schedule)
		require.NoError(t, err)
		again := new(Schedule)
		require.NoError(t, json.Unmarshal(text, again))
		require.Equal(t, k.Schedule, again)
		require.True(t, k.Schedule.equal(again))
	})
}

// BenchmarkSchedule asks what a key is worth, on each way through the code.
func BenchmarkSchedule(b *testing.B) {
	const office = `"from":"08:00","until":"18:00"`
	for name, text := range map[string]string{
		"none":    "",
		"office":  `{"timeZone":"Europe/Berlin","rules":[{"days":["mon","tue","wed","thu","fri"],` + office + `}]}`,
		"always":  `{"timeZone":"Europe/Berlin","rules":[{` + always + `,"from":"00:00","until":"24:00"}]}`,
		"no rule": `{"timeZone":"Europe/Berlin","extraDates":[{"date":"2026-12-24",` + office + `}]}`,
	} {
		k := TempKey{AccessMode: Public, ValidFrom: noon.AddDate(-1, 0, 0), ValidUntil: noon.AddDate(1, 0, 0)}
		if text != "" {
			k.Schedule = scheduled(b, text)
		}
		b.Run("status/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.Status(noon)
			}
		})
		b.Run("view/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				k.view(noon)
			}
		})
	}
}
