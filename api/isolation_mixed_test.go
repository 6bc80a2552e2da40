package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tests in this file are about requests that name something of the caller's and something of hotel-9's together: what
// looks at the first only lets the second slip through.

// throughOwn says what somebody gets who names a lock of their own in the place of hotel-9's, where that is neither a success
// nor, if the request names something else of hotel-9's too, a 404.
var throughOwn = map[string][]int{
	"CreateLock":     {http.StatusConflict, http.StatusForbidden}, // the device is another lock's; users create none
	"BulkAddKeys":    {http.StatusOK},                             // a card may be good at many doors
	"AddKey":         {http.StatusOK},
	"UpdateTempKeys": {http.StatusOK},         // each item is answered for itself
	"OpenLock":       {http.StatusBadGateway}, // the lock has no device
	"WriteKey":       {http.StatusNotFound, http.StatusBadGateway},
	"RemoveKey":      {http.StatusNotFound},

	"SetOrganization": {http.StatusOK, http.StatusForbidden}, // a lock may be given away, and not by a user
}

// ownLock gives hostel-2 and its user eve a lock of their own, and tells its ID.
func (s *server) ownLock(hostel string, n int) string {
	s.t.Helper()
	id := strconv.Itoa(100 + n)
	body := fmt.Sprintf(`{"index":1,"uuid":"00000000-0000-4000-8000-%012d","ownerId":"eve"}`, n)
	a := s.call("POST", "/locks/"+id+"/CreateLock", body, as(hostel))
	require.Equal(s.t, http.StatusCreated, a.status, a.body)
	return id
}

// about gives a request about another lock than 42; false when it is not about that.
func (o *request) about(id string) (request, bool) {
	other := *o
	own := strings.NewReplacer("/locks/42", "/locks/"+id, `"lockId":42`, `"lockId":`+id, `"lockId":"42"`, `"lockId":"`+id+`"`)
	other.path, other.body = own.Replace(o.path), own.Replace(o.body)
	return other, other.path+other.body != o.path+o.body
}

// view is all that hotel-9 can see, by every operation that looks.
func (s *server) view(hotel string) string {
	s.t.Helper()
	var all strings.Builder
	for _, o := range s.operations() {
		if o.method == http.MethodGet && o.scope == "read" {
			a := s.call(o.method, o.path, "", as(hotel))
			require.Equal(s.t, http.StatusOK, a.status, "%s: %s", o.id, a.body)
			// The end of an export tells how far the journal has come, which others move too.
			body := a.body
			if lines := strings.SplitAfter(body, "\n"); strings.HasPrefix(a.header.Get("Content-Type"), "application/x-ndjson") {
				body = strings.Join(lines[:len(lines)-2], "")
			}
			all.WriteString(o.id + " " + body + "\n")
		}
	}
	return all.String()
}

func TestNobodyGetsAtThingsThroughALockOfTheirOwn(t *testing.T) {
	t.Parallel()
	s, hotel := newEstate(t)
	hostel := s.orgKey("hostel-2")
	before, history := s.view(hotel), s.history()
	tried := make(map[bool]int)
	for who, caller := range map[string]option{"another organisation": as(hostel), "another user": bearer(token(t, "eve"))} {
		for _, o := range s.operations() {
			mixed, about := o.about(s.ownLock(hostel, len(tried)+tried[true]+tried[false]))
			if o.scope == "public" || o.scope == "super" || !about {
				tried[false]++
				continue
			}
			tried[true]++
			a := s.call(mixed.method, mixed.path, mixed.body, caller)
			s.saysNothing(&mixed, who, a)
			o.documents(t, a.status)
			switch want, listed := throughOwn[o.id]; {
			case listed:
				require.Contains(t, want, a.status, "%s by %s: %s", o.id, who, a.body)
			case s.names(&mixed):
				require.Equal(t, http.StatusNotFound, a.status, "%s by %s: %s\nIf that is as it should be, say so with the reason in throughOwn.", o.id, who, a.body)
			case a.status != http.StatusForbidden || who == "another organisation": // users have no organisation to act for
				require.Less(t, a.status, http.StatusBadRequest, "%s by %s: %s", o.id, who, a.body)
			}
			require.Equal(t, history, s.history(), "%s by %s", o.id, who)
			require.Equal(t, before, s.view(hotel), "%s by %s", o.id, who)
		}
	}
	require.Greater(t, tried[true], 50)
	require.Zero(t, s.kernel.opens)
}

// names tells whether a request names something of hotel-9's.
func (s *server) names(o *request) bool {
	return slices.ContainsFunc(s.theirs(), func(theirs string) bool { return strings.Contains(o.path+o.body, theirs) })
}

// One door or item that is somebody else's costs the others nothing that they have, and gets nothing.
func TestThingsOfTwoInOneRequest(t *testing.T) {
	t.Parallel()
	s, hotel := newEstate(t)
	hostel := s.orgKey("hostel-2")
	own := s.ownLock(hostel, 0)
	before := s.view(hotel)
	for _, who := range []option{as(hostel), bearer(token(t, "eve"))} {
		window := `"validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z"`
		for _, doors := range []string{`{"lockId":"` + own + `"},{"lockId":"42"}`, `{"lockId":"42"},{"lockId":"` + own + `"}`} {
			for _, path := range []string{"/temp-keys", "/collective-temp-keys"} {
				s.call("POST", path, `{`+window+`,"doors":[`+doors+`]}`, who).requireError(http.StatusNotFound, "lock-not-found")
			}
		}
		require.Empty(t, s.call("GET", "/temp-keys", "", who).json()["tempKeys"], "no door is granted of a key that is not")

		item := func(id, more string) string {
			return `{"lockId":` + id + `,"tempKey":{"accessMode":"public",` + window + more + `}}`
		}
		items := itemsOf(s.call("POST", "/bulk/create-temp-keys", `{"items":[`+item(own, "")+`,`+item("42", "")+`,`+item(own, `,"tempKeyUuid":"`+keyUUID+`"`)+`]}`, who))
		require.EqualValues(t, http.StatusOK, items[0]["status"])
		require.EqualValues(t, http.StatusNotFound, items[1]["status"])
		require.EqualValues(t, http.StatusConflict, items[2]["status"], "a UUID opens one lock")
		require.NotContains(t, items[2], "url")
		s.call("POST", "/locks/"+own+"/create-temp-key", `{"tempKeyUuid":"`+keyUUID+`","accessMode":"public",`+window+`}`, who).
			requireError(http.StatusConflict, "temp-key-uuid-taken")
	}
	require.Equal(t, before, s.view(hotel))
}

// The same contact is another person for each organisation, and the same name of a request another request.
func TestSameNamesInTwoOrganisations(t *testing.T) {
	t.Parallel()
	s, hotel := newEstate(t)
	hostel := s.orgKey("hostel-2")
	theirs := s.call("GET", "/users/by-email?email=kim@example.org", "", as(hotel)).json()
	ours := s.call("POST", "/users/by-email", `{"email":"kim@example.org"}`, as(hostel))
	require.Equal(t, http.StatusCreated, ours.status, "nobody says that somebody else knows her")
	require.NotEqual(t, theirs["userId"], ours.json()["userId"])

	create := func(id, key string) *answer {
		a := s.call("POST", "/locks/"+id+"/create-temp-key", `{`+aWindow+`}`, as(key), named("k1"))
		require.Equal(t, http.StatusOK, a.status, a.body)
		return a
	}
	first := create("42", hotel)
	other := create(s.ownLock(hostel, 0), hostel)
	require.Empty(t, other.header.Get("Idempotent-Replayed"))
	require.NotEqual(t, first.json()["tempKeyUuid"], other.json()["tempKeyUuid"])

	// Nor does the lock remember for its next organisation what it answered to the one before.
	require.Equal(t, http.StatusOK, s.call("POST", "/locks/42/SetOrganization", `{"orgId":"hostel-2"}`, as(hotel)).status)
	second := create("42", hostel)
	require.Empty(t, second.header.Get("Idempotent-Replayed"))
	require.NotEqual(t, first.json()["tempKeyUuid"], second.json()["tempKeyUuid"])
	s.call("POST", "/locks/42/create-temp-key", `{`+aWindow+`}`, as(hotel), named("k1")).requireError(http.StatusNotFound, "lock-not-found")
}

// Lists are narrowed by what the caller may see, whatever is asked for, and go on from nobody else's place.
func TestListsAreOnesOwn(t *testing.T) {
	t.Parallel()
	s, hotel := newEstate(t)
	s.call("POST", "/locks/42/create-temp-key", `{`+aWindow+`}`, as(hotel))
	a := s.call("POST", "/temp-keys", `{"validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z","doors":[{"lockId":"42"}]}`, as(hotel))
	require.Equal(t, http.StatusCreated, a.status)
	lists := 0
	for _, o := range s.operations() {
		filters := []string{"limit=1"}
		cursor := false
		for _, p := range o.entry.Parameters {
			switch name := p.Value.Name; {
			case name == "cursor":
				cursor = true
			case p.Value.In == "query" && (name == "lockId" || name == "createdBy" || name == "status"):
				filters = append(filters, name+"="+map[string]string{"lockId": "42", "createdBy": "hotel-9", "status": "valid"}[name])
			}
		}
		if !cursor || o.scope != "read" {
			continue
		}
		lists++
		mine := s.call(o.method, o.path+"?limit=1", "", as(hotel))
		require.Equal(t, http.StatusOK, mine.status, mine.body)
		next := ""
		if i := strings.Index(mine.body, `ursor":"`); i >= 0 {
			next, _, _ = strings.Cut(mine.body[i+len(`ursor":"`):], `"`)
		}
		require.NotEmpty(t, next, "%s has one page only: give hotel-9 more of what it lists", o.id)
		for _, key := range []string{s.orgKey("hostel-2"), s.orgKey("hotel-90")} {
			for _, query := range append(filters, strings.Join(filters, "&"), "limit=1&cursor="+next) {
				a := s.call(o.method, o.path+"?"+query, "", as(key))
				if strings.Contains(query, "cursor=") && a.status == http.StatusBadRequest {
					a.requireError(http.StatusBadRequest, "cursor-invalid") // it is good for its caller's list only
					continue
				}
				if a.status == http.StatusBadRequest {
					require.Equal(t, "lockId", a.requireError(http.StatusBadRequest, "parameter-missing")["field"]) // whoever the creator is
				} else {
					require.Contains(t, []int{http.StatusOK, http.StatusNotFound}, a.status, "%s?%s: %s", o.id, query, a.body)
				}
				s.saysNothing(&o, "another organisation", a)
			}
		}
	}
	require.GreaterOrEqual(t, lists, 5)
}
