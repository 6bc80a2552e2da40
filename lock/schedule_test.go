package lock

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func scheduled(t require.TestingT, text string) *Schedule {
	s := new(Schedule)
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(s))
	require.NoError(t, s.check())
	return s.stored()
}

// minute reads an instant in UTC without its seconds.
func minute(t require.TestingT, s string) time.Time {
	at, err := time.Parse("2006-01-02T15:04Z", s)
	require.NoError(t, err)
	return at
}

const (
	always   = `"days":["mon","tue","wed","thu","fri","sat","sun"]`
	weekends = `"days":["sat","sun"]`
)

// TestScheduleVectors lists all the windows of a key between two instants, in UTC.
func TestScheduleVectors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, schedule string
		from, until    string
		before, after  time.Duration
		windows        string
	}{
		{
			name:     "office hours, in winter and in summer",
			schedule: `{"timeZone":"Europe/Berlin","rules":[{"days":["fri","mon"],"from":"08:00","until":"18:00"}]}`,
			from:     "2026-03-27T00:00Z", until: "2026-04-04T00:00Z",
			windows: "2026-03-27T07:00Z..2026-03-27T17:00Z 2026-03-30T06:00Z..2026-03-30T16:00Z 2026-04-03T06:00Z..2026-04-03T16:00Z",
		},
		{
			name:     "a skipped hour takes away what lies in it", // 02:00 to 03:00 on 2026-03-29
			schedule: `{"timeZone":"Europe/Berlin","rules":[{` + always + `,"from":"02:00","until":"03:00"}]}`,
			from:     "2026-03-28T00:00Z", until: "2026-03-31T00:00Z",
			windows: "2026-03-28T01:00Z..2026-03-28T02:00Z 2026-03-30T00:00Z..2026-03-30T01:00Z",
		},
		{
			name:     "hours that begin in a skipped hour begin after it",
			schedule: `{"timeZone":"Europe/Berlin","rules":[{` + always + `,"from":"02:30","until":"04:00"}]}`,
			from:     "2026-03-29T00:00Z", until: "2026-03-30T00:00Z",
			windows: "2026-03-29T01:00Z..2026-03-29T02:00Z",
		},
		{
			name:     "hours that end in a skipped hour end before it",
			schedule: `{"timeZone":"Europe/Berlin","rules":[{` + always + `,"from":"01:00","until":"02:30"}]}`,
			from:     "2026-03-29T00:00Z", until: "2026-03-29T12:00Z",
			windows: "2026-03-29T00:00Z..2026-03-29T01:00Z",
		},
		{
			name:     "a doubled hour counts twice", // 02:00 to 03:00 on 2026-10-25
			schedule: `{"timeZone":"Europe/Berlin","rules":[{` + always + `,"from":"02:00","until":"03:00"}]}`,
			from:     "2026-10-25T00:00Z", until: "2026-10-26T00:00Z",
			windows: "2026-10-25T00:00Z..2026-10-25T02:00Z",
		},
		{
			name:     "hours that end in a doubled hour end, and come again",
			schedule: `{"timeZone":"Europe/Berlin","rules":[{` + always + `,"from":"01:00","until":"02:30"}]}`,
			from:     "2026-10-24T12:00Z", until: "2026-10-25T12:00Z",
			windows: "2026-10-24T23:00Z..2026-10-25T00:30Z 2026-10-25T01:00Z..2026-10-25T01:30Z",
		},
		{
			name:     "hours that begin in a doubled hour begin, stop and begin again",
			schedule: `{"timeZone":"Europe/Berlin","rules":[{` + always + `,"from":"02:30","until":"04:00"}]}`,
			from:     "2026-10-24T12:00Z", until: "2026-10-25T12:00Z",
			windows: "2026-10-25T00:30Z..2026-10-25T01:00Z 2026-10-25T01:30Z..2026-10-25T03:00Z",
		},
		{
			name:     "the night of the skipped hour has seven hours, that of the doubled one nine",
			schedule: `{"timeZone":"America/New_York","rules":[{"days":["sat"],"from":"22:00","until":"06:00"}]}`,
			from:     "2026-03-07T00:00Z", until: "2026-03-09T00:00Z",
			windows: "2026-03-08T03:00Z..2026-03-08T10:00Z",
		},
		{
			name:     "the night of the doubled hour",
			schedule: `{"timeZone":"America/New_York","rules":[{"days":["sat"],"from":"22:00","until":"06:00"}]}`,
			from:     "2026-10-31T00:00Z", until: "2026-11-02T00:00Z",
			windows: "2026-11-01T02:00Z..2026-11-01T11:00Z",
		},
		{
			name:     "a night belongs to the day on which it begins",
			schedule: `{"timeZone":"UTC","rules":[{"days":["fri"],"from":"22:00","until":"06:00"}]}`,
			from:     "2026-05-01T00:00Z", until: "2026-05-08T00:00Z",
			windows: "2026-05-01T22:00Z..2026-05-02T06:00Z",
		},
		{
			name:     "a whole day, and hours that follow without a gap",
			schedule: `{"timeZone":"UTC","rules":[{` + weekends + `,"from":"00:00","until":"24:00"},{"days":["mon"],"from":"00:00","until":"01:00"}]}`,
			from:     "2026-05-01T00:00Z", until: "2026-05-08T00:00Z",
			windows: "2026-05-02T00:00Z..2026-05-04T01:00Z",
		},
		{
			name:     "until midnight, said in two ways",
			schedule: `{"timeZone":"UTC","rules":[{"days":["tue"],"from":"22:00","until":"24:00"},{"days":["thu"],"from":"22:00","until":"00:00"}]}`,
			from:     "2026-05-04T00:00Z", until: "2026-05-10T00:00Z",
			windows: "2026-05-05T22:00Z..2026-05-06T00:00Z 2026-05-07T22:00Z..2026-05-08T00:00Z",
		},
		{
			name:     "rules may overlap",
			schedule: `{"timeZone":"UTC","rules":[{"days":["tue"],"from":"08:00","until":"12:00"},{"days":["tue"],"from":"10:00","until":"14:00"},{"days":["tue"],"from":"09:00","until":"10:00"}]}`,
			from:     "2026-05-04T00:00Z", until: "2026-05-10T00:00Z",
			windows: "2026-05-05T08:00Z..2026-05-05T14:00Z",
		},
		{
			name: "dates that are left out, and dates that are added",
			schedule: `{"timeZone":"UTC","rules":[{` + always + `,"from":"22:00","until":"02:00"}],"exceptDates":["2026-12-25","2026-12-24"],
				"extraDates":[{"date":"2026-12-24","from":"10:00","until":"12:00"},{"date":"2026-12-26","from":"01:00","until":"03:00"}]}`,
			from: "2026-12-23T12:00Z", until: "2026-12-27T12:00Z",
			windows: "2026-12-23T22:00Z..2026-12-24T02:00Z 2026-12-24T10:00Z..2026-12-24T12:00Z 2026-12-26T01:00Z..2026-12-26T03:00Z 2026-12-26T22:00Z..2026-12-27T02:00Z",
		},
		{
			name:     "added dates alone",
			schedule: `{"timeZone":"Asia/Tokyo","extraDates":[{"date":"2026-07-05","from":"09:00","until":"10:00"},{"date":"2026-07-01","from":"23:00","until":"01:00"}]}`,
			from:     "2026-01-01T00:00Z", until: "2027-01-01T00:00Z",
			windows: "2026-07-01T14:00Z..2026-07-01T16:00Z 2026-07-05T00:00Z..2026-07-05T01:00Z",
		},
		{
			name:     "the southern hemisphere: the clock goes forward in October", // 02:00 to 03:00 on 2026-10-04
			schedule: `{"timeZone":"Australia/Sydney","rules":[{"days":["sat","sun"],"from":"01:30","until":"03:30"}]}`,
			from:     "2026-10-03T00:00Z", until: "2026-10-05T00:00Z",
			windows: "2026-10-03T15:30Z..2026-10-03T16:30Z",
		},
		{
			name:     "the southern hemisphere: the clock goes back in April", // 03:00 to 02:00 on 2026-04-05
			schedule: `{"timeZone":"Australia/Sydney","rules":[{"days":["sat","sun"],"from":"01:30","until":"03:30"}]}`,
			from:     "2026-04-04T00:00Z", until: "2026-04-06T00:00Z",
			windows: "2026-04-04T14:30Z..2026-04-04T17:30Z",
		},
		{
			name:     "half an hour of summer time", // Lord Howe goes from +10:30 to +11 at 02:00 on 2026-10-04
			schedule: `{"timeZone":"Australia/Lord_Howe","rules":[{"days":["sun"],"from":"01:00","until":"03:00"}]}`,
			from:     "2026-10-03T00:00Z", until: "2026-10-05T00:00Z",
			windows: "2026-10-03T14:30Z..2026-10-03T16:00Z",
		},
		{
			name:     "a clock that skips midnight", // Cairo went from 00:00 to 01:00 on Friday 2026-04-24
			schedule: `{"timeZone":"Africa/Cairo","rules":[{"days":["fri"],"from":"00:00","until":"02:00"},{"days":["thu"],"from":"23:00","until":"24:00"}]}`,
			from:     "2026-04-23T00:00Z", until: "2026-04-25T00:00Z",
			windows: "2026-04-23T21:00Z..2026-04-23T23:00Z",
		},
		{
			name:     "a country that skips a day: the night before ends with its day", // Apia had no 2011-12-30, a Friday
			schedule: `{"timeZone":"Pacific/Apia","rules":[{"days":["thu"],"from":"22:00","until":"06:00"}]}`,
			from:     "2011-12-29T00:00Z", until: "2012-01-02T00:00Z",
			windows: "2011-12-30T08:00Z..2011-12-30T10:00Z",
		},
		{
			name:     "a country that skips a day: that day's night has its end",
			schedule: `{"timeZone":"Pacific/Apia","rules":[{"days":["fri"],"from":"22:00","until":"06:00"}]}`,
			from:     "2011-12-29T00:00Z", until: "2012-01-02T00:00Z",
			windows: "2011-12-30T10:00Z..2011-12-30T16:00Z",
		},
		{
			name:     "a country that skips a day: hours on it never come",
			schedule: `{"timeZone":"Pacific/Apia","rules":[{"days":["fri","sat"],"from":"08:00","until":"09:00"}]}`,
			from:     "2011-12-29T00:00Z", until: "2012-01-02T00:00Z",
			windows: "2011-12-30T18:00Z..2011-12-30T19:00Z",
		},
		{
			name:     "an offset that a law has changed for good", // Sao Paulo has no summer time since 2019
			schedule: `{"timeZone":"America/Sao_Paulo","rules":[{"days":["tue"],"from":"08:00","until":"09:00"}]}`,
			from:     "2019-02-11T00:00Z", until: "2019-02-20T00:00Z",
			windows: "2019-02-12T10:00Z..2019-02-12T11:00Z 2019-02-19T11:00Z..2019-02-19T12:00Z",
		},
		{
			name:     "a zone that is 5 hours and 45 minutes ahead",
			schedule: `{"timeZone":"Asia/Kathmandu","rules":[{"days":["tue"],"from":"00:00","until":"00:01"}]}`,
			from:     "2026-05-04T00:00Z", until: "2026-05-10T00:00Z",
			windows: "2026-05-04T18:15Z..2026-05-04T18:16Z",
		},
		{
			name:     "what lies outside the key's own window is cut off",
			schedule: `{"timeZone":"UTC","rules":[{` + always + `,"from":"08:00","until":"10:00"}]}`,
			from:     "2026-05-01T09:00Z", until: "2026-05-02T08:30Z",
			windows: "2026-05-01T09:00Z..2026-05-01T10:00Z 2026-05-02T08:00Z..2026-05-02T08:30Z",
		},
		{
			name:     "grace widens each stretch of hours, after it was cut",
			schedule: `{"timeZone":"UTC","rules":[{` + always + `,"from":"08:00","until":"10:00"}]}`,
			from:     "2026-05-01T09:00Z", until: "2026-05-02T08:30Z", before: 15 * time.Minute, after: 5 * time.Minute,
			windows: "2026-05-01T08:45Z..2026-05-01T10:05Z 2026-05-02T07:45Z..2026-05-02T08:35Z",
		},
		{
			name:     "grace gives nothing to hours that are not the key's at all",
			schedule: `{"timeZone":"UTC","rules":[{` + always + `,"from":"08:00","until":"10:00"}]}`,
			from:     "2026-05-01T10:00Z", until: "2026-05-02T08:30Z", before: time.Hour, after: time.Hour,
			windows: "2026-05-02T07:00Z..2026-05-02T09:30Z",
		},
		{
			name:     "grace may join hours to one window",
			schedule: `{"timeZone":"UTC","rules":[{"days":["tue"],"from":"08:00","until":"10:00"},{"days":["tue"],"from":"10:30","until":"12:00"}]}`,
			from:     "2026-05-04T00:00Z", until: "2026-05-10T00:00Z", before: 20 * time.Minute, after: 10 * time.Minute,
			windows: "2026-05-05T07:40Z..2026-05-05T12:10Z",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := TempKey{
				AccessMode: Public, Schedule: scheduled(t, c.schedule), ValidFrom: minute(t, c.from), ValidUntil: minute(t, c.until),
				GraceBeforeSeconds: int64(c.before / time.Second), GraceAfterSeconds: int64(c.after / time.Second),
			}
			require.NoError(t, k.check())
			var windows []string
			for at := k.ValidFrom.Add(-48 * time.Hour); ; {
				v := k.view(at)
				if v.Status == StatusExpired {
					break
				}
				require.Equal(t, StatusNotYetValid, v.Status)
				w := v.NextWindow
				require.Equal(t, StatusNotYetValid, k.Status(w.From.Add(-time.Millisecond)))
				require.Equal(t, StatusValid, k.Status(w.From), "the first instant is inside")
				require.Equal(t, StatusValid, k.Status(w.Until.Add(-time.Nanosecond)))
				require.NotEqual(t, StatusValid, k.Status(*w.Until), "the last is not")
				inside := k.view(w.From.Add(w.Until.Sub(w.From) / 2))
				require.Equal(t, w.Until, inside.OpenUntil)
				require.Nil(t, inside.NextWindow)
				windows = append(windows, w.From.Format("2006-01-02T15:04Z")+".."+w.Until.Format("2006-01-02T15:04Z"))
				at = *w.Until
			}
			require.Equal(t, c.windows, strings.Join(windows, " "))
		})
	}
}

func TestWindowsWithoutAnEnd(t *testing.T) {
	t.Parallel()
	k := TempKey{
		AccessMode: Public, Schedule: scheduled(t, `{"timeZone":"Europe/Berlin","rules":[{`+always+`,"from":"00:00","until":"24:00"}],"exceptDates":["2026-12-24"]}`),
		ValidFrom: minute(t, "2026-01-01T00:00Z"), ValidUntil: minute(t, "9999-12-31T00:00Z"),
	}
	require.NoError(t, k.check())
	v := k.view(minute(t, "2026-10-20T00:00Z"))
	require.Equal(t, StatusValid, v.Status)
	require.Nil(t, v.OpenUntil, "it ends too far away")
	v = k.view(minute(t, "2026-12-01T00:00Z"))
	require.Equal(t, minute(t, "2026-12-23T23:00Z"), *v.OpenUntil)
	v = k.view(minute(t, "2026-12-24T12:00Z"))
	require.Equal(t, StatusNotYetValid, v.Status)
	require.Equal(t, NextWindow{From: minute(t, "2026-12-24T23:00Z")}, *v.NextWindow)
	k.ValidUntil = minute(t, "2027-01-03T11:00Z")
	require.Equal(t, k.ValidUntil, *k.view(minute(t, "2026-12-25T12:00Z")).OpenUntil)
}

// TestGraceWithoutSchedule: a key without a schedule has one window, which grace widens too.
func TestGraceWithoutSchedule(t *testing.T) {
	t.Parallel()
	k := TempKey{AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour), GraceBeforeSeconds: 60, GraceAfterSeconds: 90}
	require.NoError(t, k.check())
	until := noon.Add(time.Hour + 90*time.Second)
	v := k.view(noon.Add(-time.Minute - 1))
	require.Equal(t, StatusNotYetValid, v.Status)
	require.Equal(t, &NextWindow{From: noon.Add(-time.Minute), Until: &until}, v.NextWindow)
	v = k.view(noon.Add(-time.Minute))
	require.Equal(t, StatusValid, v.Status)
	require.Equal(t, until, *v.OpenUntil)
	require.Equal(t, StatusValid, k.Status(until.Add(-1)))
	require.Equal(t, TempKeyView{TempKey: k, Status: StatusExpired}, k.view(until))
	require.Equal(t, Window{From: noon.Add(-time.Minute), Until: until}, k.Bounds())
}

// TestZoneThatIsNotKnown: a journal of a newer version may name a zone that this one does not have. Nobody can tell the hours, so
// there are none.
func TestZoneThatIsNotKnown(t *testing.T) {
	t.Parallel()
	k := TempKey{AccessMode: Public, ValidFrom: noon, ValidUntil: noon.Add(time.Hour), Schedule: &Schedule{
		TimeZone: "Europe/Atlantis", Rules: []Rule{{Days: everyDay, Hours: Hours{Until: endOfDay}}},
	}}
	require.Equal(t, StatusExpired, k.Status(noon))
	require.Equal(t, noon.UTC(), k.Schedule.Local(noon.In(time.FixedZone("", 3600))))
	k.Schedule.TimeZone = "Europe/Berlin"
	require.Equal(t, "2026-07-01 14:00 Europe/Berlin", k.Schedule.Local(minute(t, "2026-07-01T12:00Z")).Format("2006-01-02 15:04 ")+k.Schedule.Local(noon).Location().String())
}

// TestAnOpenEndsWithItsHours: a motor may move at the deadline of an open, but not at the end of the key's hours any more.
func TestAnOpenEndsWithItsHours(t *testing.T) {
	t.Parallel()
	s := new(State)
	Evolve(s, &LockCreated{Stamp: Stamp{At: noon, LockUUID: deviceUUID("u1"), OrgID: "acme"}, LockID: 1, Index: 1})
	apply(t, s, &ConnectDevice{Device: Device{Session: Session{Node: "n", ID: 1}, Deadline: true, Journal: true}})
	until := noon.Add(time.Hour)
	apply(t, s, &CreateTempKey{
		By: Caller{OrgID: "acme"}, UUID: name(1), AccessMode: Public, ValidFrom: noon.AddDate(0, 0, -1), ValidUntil: noon.AddDate(0, 0, 5).Add(-90 * time.Minute),
		Schedule: scheduled(t, `{"timeZone":"UTC","rules":[{`+always+`,"from":"11:00","until":"13:00"}],"exceptDates":["2026-05-03"]}`),
	})
	open := func(at time.Time) (Decision, error) {
		return Decide(s, &OpenWithTempKey{TempKeyID: name(1), RequestID: "r", CommandID: "c", Lifetime: 5 * time.Second}, at)
	}
	for _, c := range []struct{ at, deadline time.Time }{
		{noon, noon.Add(5 * time.Second)},
		{until.Add(-2 * time.Second), until.Add(-time.Millisecond)},
		{until.Add(-2 * time.Millisecond), until.Add(-time.Millisecond)},
	} {
		d, err := open(c.at)
		require.NoError(t, err)
		require.Equal(t, c.deadline, d.Reply.(*OpenResult).Deadline)
	}
	for at, reason := range map[time.Time]string{
		until.Add(-time.Millisecond): "temp-key-not-yet-valid", until: "temp-key-not-yet-valid",
		noon.AddDate(0, 0, 2):                         "temp-key-not-yet-valid", // the date that is left out
		until.AddDate(0, 0, 4).Add(-time.Millisecond): "temp-key-expired",       // the last hours that there are
		until.AddDate(0, 0, 4):                        "temp-key-expired",
	} {
		_, err := open(at)
		require.Error(t, err, at)
		require.Equal(t, reason, err.(*Error).Reason, at)
	}

	// An update that takes the hours of an open away waits for it.
	d, err := open(noon)
	require.NoError(t, err)
	for _, e := range d.Events {
		Evolve(s, e)
	}
	change := func(schedule string) Decision {
		d, err := Decide(s, &UpdateTempKey{By: Caller{OrgID: "acme"}, TempKeyID: name(1), Changes: Changes{
			Schedule: &ScheduleChange{Schedule: scheduled(t, schedule)},
		}}, noon.Add(time.Second))
		require.NoError(t, err)
		return d
	}
	require.Empty(t, change(`{"timeZone":"UTC","rules":[{`+always+`,"from":"12:00","until":"12:01"}]}`).SafeAfter)
	require.Equal(t, []CommandID{"c"}, change(`{"timeZone":"UTC","rules":[{`+always+`,"from":"12:01","until":"12:02"}]}`).SafeAfter)
}
