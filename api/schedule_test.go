package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The server's clock begins on Friday, 2026-05-01 at 10:00 in UTC, which is 12:00 in Berlin.
const officeHours = `{"timeZone":"Europe/Berlin","rules":[{"days":["fri","mon"],"from":"08:00","until":"13:00"}],"exceptDates":["2026-05-04"],` +
	`"extraDates":[{"date":"2026-05-03","from":"23:00","until":"01:00"}]}`

func TestAKeyWithASchedule(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	require.NoError(t, s.kernel.connect(42, opens))
	const window = `"validFrom":"2026-04-01T00:00:00Z","validUntil":"2026-06-01T00:00:00Z"`
	a := s.call("POST", "/locks/42/create-temp-key", `{"tempKeyUuid":"`+keyUUID+`","accessMode":"public",`+window+
		`,"schedule":`+officeHours+`,"graceBeforeSeconds":600,"graceAfterSeconds":300}`, as(hotel))
	require.Equal(t, http.StatusOK, a.status, a.body)

	key := func() map[string]any {
		return s.call("GET", "/locks/42/temp-keys", "", as(hotel)).json()["tempKeys"].([]any)[0].(map[string]any)
	}
	open := func() *answer { return s.call("POST", "/temp-keys/"+keyUUID+"/open", "") }

	k := key()
	require.Equal(t, "valid", k["status"])
	require.Equal(t, "2026-05-01T11:05:00.000Z", k["openUntil"])
	require.NotContains(t, k, "nextWindow")
	require.EqualValues(t, 600, k["graceBeforeSeconds"])
	require.Equal(t, "Europe/Berlin", k["schedule"].(map[string]any)["timeZone"])
	require.Equal(t, []any{"2026-05-04"}, k["schedule"].(map[string]any)["exceptDates"])
	require.Equal(t, http.StatusSeeOther, open().status)
	page := s.call("GET", "/temp-keys/"+keyUUID, "", header("Accept", "text/html")).body
	require.Contains(t, page, "Valid now")
	require.Contains(t, page, "1 May 2026, 13:05 Berlin time", "as the clock at the door shows it")
	require.Contains(t, page, "Mon, Fri 08:00–13:00")

	s.clock.Advance(2 * time.Hour)
	k = key()
	require.Equal(t, "not-yet-valid", k["status"])
	require.NotContains(t, k, "openUntil")
	require.Equal(t, map[string]any{"from": "2026-05-03T20:50:00.000Z", "until": "2026-05-03T23:05:00.000Z"}, k["nextWindow"])
	open().requireError(http.StatusForbidden, "temp-key-not-yet-valid")
	page = s.call("GET", "/temp-keys/"+keyUUID, "", header("Accept", "text/html")).body
	require.Contains(t, page, "Not at this hour")
	require.Contains(t, page, "You can open from 3 May 2026, 22:50 Berlin time")

	update := func(changes string) *answer {
		return s.call("POST", "/locks/42/update-temp-key", `{"tempKeyUuid":"`+keyUUID+`"`+changes+`}`, as(hotel))
	}
	require.Equal(t, http.StatusOK, update(`,"schedule":null,"graceAfterSeconds":0,"description":"Room 12"`).status)
	require.Equal(t, http.StatusSeeOther, open().status)
	k = key()
	require.NotContains(t, k, "schedule")
	require.NotContains(t, k, "graceAfterSeconds")
	require.EqualValues(t, 600, k["graceBeforeSeconds"], "what is not named stays")
	require.Equal(t, "Room 12", k["description"])
	require.Equal(t, http.StatusOK, update(`,"description":null`).status)
	require.NotContains(t, key(), "description")
	update(`,"schedule":{"timeZone":"UTC","rules":[{"days":["fri"],"from":"10:00","until":"10:01"}]},"validUntil":"2026-04-02T00:00:00Z"`).
		requireError(http.StatusBadRequest, "schedule-never")
	require.Equal(t, http.StatusOK, update(`,"schedule":`+officeHours).status)
	require.Equal(t, "not-yet-valid", key()["status"])
}

func TestBadSchedules(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	const rule = `{"days":["mon"],"from":"08:00","until":"13:00"}`
	for _, c := range []struct{ schedule, reason, field string }{
		{`5`, "field-invalid", "schedule"},
		{`{}`, "field-missing", "schedule.timeZone"},
		{`{"timeZone":"Local","rules":[` + rule + `]}`, "time-zone-unknown", "schedule.timeZone"},
		{`{"timeZone":"CEST","rules":[` + rule + `]}`, "time-zone-unknown", "schedule.timeZone"},
		{`{"timeZone":"UTC"}`, "schedule-empty", "schedule.rules"},
		{`{"timeZone":"UTC","rules":[{"days":[],"from":"08:00","until":"13:00"}]}`, "days-invalid", "schedule.rules[0].days"},
		{`{"timeZone":"UTC","rules":[` + rule + `,{"days":["mon","mon"],"from":"08:00","until":"13:00"}]}`, "days-invalid", "schedule.rules[1].days"},
		{`{"timeZone":"UTC","rules":[{"days":["Monday"],"from":"08:00","until":"13:00"}]}`, "days-invalid", "schedule.rules[0].days"},
		{`{"timeZone":"UTC","rules":[{"days":["mon"],"from":"8:00","until":"13:00"}]}`, "clock-invalid", "schedule.rules[0].from"},
		{`{"timeZone":"UTC","rules":[{"days":["mon"],"from":8,"until":"13:00"}]}`, "field-invalid", "schedule.rules[0].from"},
		{`{"timeZone":"UTC","rules":[{"days":["mon"],"from":"24:00","until":"13:00"}]}`, "clock-invalid", "schedule.rules[0].from"},
		{`{"timeZone":"UTC","rules":[{"days":["mon"],"from":"08:00","until":"24:01"}]}`, "clock-invalid", "schedule.rules[0].until"},
		{`{"timeZone":"UTC","rules":[{"days":["mon"],"from":"08:00","until":"08:00"}]}`, "hours-empty", "schedule.rules[0].until"},
		{`{"timeZone":"UTC","rules":[{"days":["mon"],"from":"08:00"}]}`, "field-missing", "schedule.rules[0].until"},
		{`{"timeZone":"UTC","rules":[` + rule + `],"exceptDates":["2026-02-30"]}`, "date-invalid", "schedule.exceptDates[0]"},
		{`{"timeZone":"UTC","extraDates":[{"date":"2200-01-01","from":"08:00","until":"09:00"}]}`, "date-invalid", "schedule.extraDates[0].date"},
		{`{"timeZone":"UTC","extraDates":[{"date":20300101,"from":"08:00","until":"09:00"}]}`, "field-invalid", "schedule.extraDates[0].date"},
		{`{"timeZone":"UTC","extraDates":[{"date":"2030-01-01","from":"08:00","until":"09:00"}]}`, "schedule-never", "schedule"},
		{`{"timeZone":"UTC","rules":[` + rule + `],"holidays":[]}`, "field-unknown", "schedule.holidays"},
	} {
		v := s.super("POST", "/locks/42/create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T00:00:00Z","validUntil":"2026-06-01T00:00:00Z","schedule":`+
			c.schedule+`}`).requireError(http.StatusBadRequest, c.reason)
		require.Equal(t, c.field, v["field"], c.schedule)
	}
	s.super("POST", "/locks/42/create-temp-key", `{"accessMode":"public","validFrom":"2026-05-01T00:00:00Z","validUntil":"2026-06-01T00:00:00Z","graceAfterSeconds":86401}`).
		requireError(http.StatusBadRequest, "grace-invalid")
}
