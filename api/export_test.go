package api_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/audit"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// lines takes an export apart, and holds each line against its schema.
func (a *answer) lines() (events []map[string]any, end map[string]any) {
	a.t.Helper()
	require.Equal(a.t, http.StatusOK, a.status, a.body)
	require.Equal(a.t, "application/x-ndjson", a.header.Get("Content-Type"))
	require.True(a.t, strings.HasSuffix(a.body, "\n"))
	all, err := contracts()
	require.NoError(a.t, err)
	schemas := all[0].doc.Components.Schemas
	list := strings.Split(strings.TrimSuffix(a.body, "\n"), "\n")
	for i, line := range list {
		var v map[string]any
		require.NoError(a.t, json.Unmarshal([]byte(line), &v), line)
		schema := schemas["ExportedEvent"]
		if i == len(list)-1 {
			schema = schemas["ExportEnd"]
			end = v
		} else {
			events = append(events, v)
		}
		require.NoError(a.t, schema.Value.VisitJSON(v), line)
	}
	return events, end
}

func TestALocksEventsAreExported(t *testing.T) {
	t.Parallel()
	s, hotel := newEstate(t)
	for i := range 1200 { // more than two pages
		_, err := s.kernel.Do(t.Context(), 42, &lock.SetOwner{By: lock.Caller{OrgID: "hotel-9"}, UserID: lock.UserID(fmt.Sprint("user-", i))})
		require.NoError(t, err)
	}
	events, end := s.call("GET", "/locks/42/events/export", "", as(hotel)).lines()
	_, total, err := s.kernel.Events(t.Context(), 42, 0, 1)
	require.NoError(t, err)
	require.EqualValues(t, total, len(events))
	require.Greater(t, total, uint64(1200))
	require.Equal(t, true, end["complete"])
	require.Equal(t, events[total-1]["cursor"], end["cursor"])
	listed := s.call("GET", "/locks/42/events", "", as(hotel)).json()["events"].([]any)
	for i, e := range listed {
		line := events[i]
		require.NotEmpty(t, line["cursor"])
		delete(line, "cursor")
		require.Equal(t, e, line, "it is what the list tells")
	}
	rest, _ := s.call("GET", "/locks/42/events/export?cursor="+events[1199]["cursor"].(string), "", as(hotel)).lines()
	require.Equal(t, events[1200:], rest)
	none, end := s.call("GET", "/locks/42/events/export?cursor="+end["cursor"].(string), "", as(hotel)).lines()
	require.Empty(t, none)
	require.Equal(t, true, end["complete"])
	head := s.call("HEAD", "/locks/42/events/export", "", as(hotel))
	require.Equal(t, http.StatusOK, head.status)
	require.Empty(t, head.body)
}

func TestEventsSayWhoAndFromWhere(t *testing.T) {
	t.Parallel()
	s, hotel := newEstate(t)
	s.call("POST", "/locks/42/update-temp-key", `{"tempKeyUuid":"`+keyUUID+`","maxUses":5}`, bearer(token(t, "olga")))
	s.super("POST", "/locks/42/SetOwner", `{"userId":"otto"}`)
	s.call("POST", "/temp-keys/"+keyUUID+"/open", "")
	events := func(who option) []any {
		t.Helper()
		exported, _ := s.call("GET", "/locks/42/events/export", "", who).lines()
		listed := s.call("GET", "/locks/42/events", "", who).json()["events"].([]any)
		require.Len(t, exported, len(listed))
		return listed
	}
	// origin is that of the last event of a type.
	origin := func(list []any, typ string) (o [4]any) {
		t.Helper()
		found := false
		for _, item := range list {
			if e := item.(map[string]any); e["type"] == typ {
				o, found = [4]any{e["by"], e["byType"], e["via"], e["from"]}, true
			}
		}
		require.True(t, found, typ)
		return o
	}
	seen := events(as(hotel))
	require.Equal(t, [4]any{"hotel-9", "organization", hotel[:9], "127.0.0.1"}, origin(seen, "LockCreated"))
	require.Equal(t, [4]any{"olga", "user", nil, "127.0.0.1"}, origin(seen, "TempKeyUpdated"))
	require.Equal(t, [4]any{"super", "super", nil, "127.0.0.1"}, origin(seen, "OwnerSet"))
	require.Equal(t, [4]any{"guest", "guest", nil, nil}, origin(seen, "LockOpenRequested"), "of a guest no address is kept")
	require.Equal(t, [4]any{nil, nil, nil, nil}, origin(seen, "LockOpened"), "the device did it by itself")
	for _, who := range []option{as(hotel), as(superKey)} {
		all, err := json.Marshal(events(who))
		require.NoError(t, err)
		require.NotContains(t, string(all), hotel[9:])
	}
	// The owner is told who, and not from where.
	require.Equal(t, [4]any{"hotel-9", "organization", nil, nil}, origin(events(bearer(token(t, "otto"))), "LockCreated"))

	// The next organisation is not told from where the lock was handed to it.
	hostel := s.orgKey("hostel-2")
	s.call("POST", "/locks/42/SetOrganization", `{"orgId":"hostel-2"}`, as(hotel))
	require.Equal(t, [4]any{"hotel-9", "organization", nil, nil}, origin(events(as(hostel)), "OrganizationSet"))
}

func TestAnOrganisationsEventsAreExported(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.orgKey("hostel-2")
	id, _ := s.key("hotel-9", tenant.NewKey{Scopes: []tenant.Scope{tenant.Read}})
	require.Equal(t, http.StatusOK, s.super("POST", "/organizations/hotel-9/api-keys/"+id+"/revoke", "").status)
	for _, who := range []option{as(hotel), as(superKey)} {
		events, end := s.call("GET", "/organizations/hotel-9/events", "", who).lines()
		require.Len(t, events, 3)
		require.Equal(t, "ApiKeyRevoked", events[2]["type"])
		require.Equal(t, "super", events[2]["by"])
		require.Equal(t, "127.0.0.1", events[2]["from"])
		require.Equal(t, "organization", events[2]["aggregateType"])
		require.EqualValues(t, 4, events[2]["position"])
		rest, again := s.call("GET", "/organizations/hotel-9/events?cursor="+events[0]["cursor"].(string), "", who).lines()
		require.Equal(t, events[1:], rest)
		require.Equal(t, end, again)
	}
	s.super("GET", "/organizations/nobody/events", "").requireError(http.StatusNotFound, "organization-not-found")
	require.Equal(t, http.StatusCreated, s.super("POST", "/organizations", `{"orgId":"nobody"}`).status)
	events, _ := s.super("GET", "/organizations/nobody/events", "").lines()
	require.Len(t, events, 1)
}

func TestBadCursors(t *testing.T) {
	t.Parallel()
	s, hotel := newEstate(t)
	_, end := s.call("GET", "/locks/42/events/export", "", as(hotel)).lines()
	_, other := s.call("GET", "/organizations/hotel-9/events", "", as(hotel)).lines()
	for path, bad := range map[string][]any{
		"/locks/42/events/export":       {"x", "%20", "djE4NDQ2NzQ0MDczNzA5NTUxNjE2", "di0x", other["cursor"], strings.Repeat("d", 500)},
		"/organizations/hotel-9/events": {"x", end["cursor"]},
	} {
		for _, cursor := range bad {
			s.call("GET", path+"?cursor="+fmt.Sprint(cursor), "", as(hotel)).requireError(http.StatusBadRequest, "cursor-invalid")
		}
	}
}

func TestACursorIsOfOneExport(t *testing.T) {
	t.Parallel()
	s, hotel := newEstate(t)
	s.withLocks(hotel, 1)
	s.orgKey("hostel-2")
	s.orgKey("hotel-9")
	_, other := s.call("GET", "/locks/1/events/export", "", as(hotel)).lines()
	s.call("GET", "/locks/42/events/export?cursor="+other["cursor"].(string), "", as(hotel)).requireError(http.StatusBadRequest, "cursor-invalid")
	_, other = s.super("GET", "/organizations/hostel-2/events", "").lines()
	s.super("GET", "/organizations/hotel-9/events?cursor="+other["cursor"].(string), "").requireError(http.StatusBadRequest, "cursor-invalid")

	// Those that were given out before there were marks are good for ever.
	all, end := s.call("GET", "/locks/42/events/export", "", as(hotel)).lines()
	rest, again := s.call("GET", "/locks/42/events/export?cursor="+base64.RawURLEncoding.EncodeToString([]byte("v2")), "", as(hotel)).lines()
	require.Equal(t, all[2:], rest)
	require.Equal(t, end, again)
	all, _ = s.super("GET", "/organizations/hotel-9/events", "").lines()
	rest, _ = s.super("GET", "/organizations/hotel-9/events?cursor=cDE", "").lines() // p1
	require.Equal(t, all[1:], rest)

	// No number is too long for a cursor.
	longest, err := s.kernel.Do(t.Context(), lock.MaxID, &lock.CreateLock{By: lock.Caller{OrgID: "hotel-9"}, ID: lock.MaxID, UUID: "00000000-0000-4000-9000-00000000000a", Index: 1})
	require.NoError(t, err)
	require.NotNil(t, longest)
	far := base64.RawURLEncoding.EncodeToString([]byte("v9223372036854775807"))
	_, end = s.call("GET", "/locks/"+lock.MaxID.String()+"/events/export?cursor="+far, "", as(hotel)).lines()
	require.LessOrEqual(t, len(end["cursor"].(string)), 64)
	_, again = s.call("GET", "/locks/"+lock.MaxID.String()+"/events/export?cursor="+end["cursor"].(string), "", as(hotel)).lines()
	require.Equal(t, end, again)
}

// endless is a history without end, or with a failure after some pages.
type endless struct {
	pages int // before the failure; 0: there is none
	began chan struct{}
	gate  chan struct{}
	once  sync.Once
}

func (e *endless) Organization(_ context.Context, org lock.OrgID, after uint64) (audit.Page, error) {
	if e.gate != nil {
		e.once.Do(func() { close(e.began) })
		<-e.gate
	}
	if e.pages > 0 && int(after) >= e.pages {
		return audit.Page{}, errors.New("the store is gone")
	}
	page := audit.Page{Until: after + 1}
	if after >= 3 {
		return page, nil // the others are not this organisation's
	}
	event := audit.Event{AggregateType: "lock", AggregateID: "1", Version: 1, Position: after + 1, Type: "OwnerSet", At: start, OrgID: org, Data: map[string]any{}}
	page.Events = append(page.Events, event)
	return page, nil
}

func TestAnExportEndsInTime(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *api.Options) {
		o.History, o.OpenLifetime, o.RequestTimeout = new(endless), time.Millisecond, 1100*time.Millisecond
	})
	s.orgKey("hotel-9")
	events, end := s.super("GET", "/organizations/hotel-9/events", "").lines()
	require.Len(t, events, 3)
	require.Equal(t, false, end["complete"])
	require.NotEqual(t, events[2]["cursor"], end["cursor"], "it tells how far it looked")
}

func TestAnExportThatFailsIsNotTakenForWhole(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *api.Options) { o.History = &endless{pages: 3} })
	s.orgKey("hotel-9")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/organizations/hotel-9/events", nil)
	require.NoError(t, err)
	r.Header.Set("X-API-Key", superKey)
	response, err := s.client.Do(r)
	if err == nil { // the connection may break before or after the header
		require.Equal(t, http.StatusOK, response.StatusCode)
		_, err = response.Body.Read(make([]byte, 1<<20))
		for err == nil {
			_, err = response.Body.Read(make([]byte, 1<<20))
		}
		_ = response.Body.Close()
	}
	require.ErrorContains(t, err, "EOF")
	require.NotErrorIs(t, err, io.EOF)
	require.Contains(t, s.logs.String(), "the store is gone")
}

func TestExportsAreBounded(t *testing.T) {
	t.Parallel()
	h := &endless{pages: 1, began: make(chan struct{}), gate: make(chan struct{})}
	s := newServer(t, func(o *api.Options) { o.History = h })
	s.orgKey("hotel-9")
	var all sync.WaitGroup
	results := make(chan int, 16)
	for range cap(results) {
		all.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/organizations/hotel-9/events?cursor=cDE", nil)
			if err == nil {
				r.Header.Set("X-API-Key", superKey)
				var response *http.Response
				if response, err = s.client.Do(r); err == nil {
					results <- response.StatusCode
					_ = response.Body.Close()
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	var refused []int
	for range cap(results) - 5 {
		refused = append(refused, <-results)
	}
	require.Equal(t, slices.Repeat([]int{http.StatusServiceUnavailable}, 11), refused, "four wait and the operator's, the others are told to come back")
	close(h.gate)
	all.Wait()
}

// gated has nothing to tell, and tells it when the gate is open.
type gated struct{ gate, began chan struct{} }

func (g gated) Organization(_ context.Context, _ lock.OrgID, after uint64) (audit.Page, error) {
	g.began <- struct{}{}
	<-g.gate
	return audit.Page{Until: after, End: true}, nil
}

func TestOneOrganisationLeavesExportsToOthers(t *testing.T) {
	t.Parallel()
	h := gated{make(chan struct{}), make(chan struct{}, 16)}
	s := newServer(t, func(o *api.Options) { o.History = h })
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	var all sync.WaitGroup
	export := func(org, key string, statuses chan<- int) {
		all.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/organizations/"+org+"/events?cursor=cDE", nil)
			if err == nil {
				r.Header.Set("X-API-Key", key)
				var response *http.Response
				if response, err = s.client.Do(r); err == nil {
					statuses <- response.StatusCode
					_ = response.Body.Close()
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	first, second := make(chan int, 6), make(chan int, 6)
	for range cap(first) {
		export("hotel-9", hotel, first)
	}
	for range cap(first) - 2 {
		assert.Equal(t, http.StatusServiceUnavailable, <-first)
	}
	for range cap(second) {
		export("hostel-2", hostel, second)
	}
	for range cap(second) - 2 {
		assert.Equal(t, http.StatusServiceUnavailable, <-second)
	}
	for range 4 {
		<-h.began
	}
	operator := make(chan int, 2)
	for range cap(operator) {
		export("hotel-9", superKey, operator)
	}
	assert.Equal(t, http.StatusServiceUnavailable, <-operator)
	<-h.began // the other one: organisations cannot take all places
	close(h.gate)
	all.Wait()
	require.Equal(t, http.StatusOK, <-operator)
	for range 2 {
		require.Equal(t, http.StatusOK, <-first)
		require.Equal(t, http.StatusOK, <-second)
	}
	third := make(chan int, 1)
	export("hotel-9", hotel, third)
	require.Equal(t, http.StatusOK, <-third, "a place is free again")
	all.Wait()
}
