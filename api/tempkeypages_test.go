package api_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/lock"
)

// page reads one page of a list: the UUIDs and the next cursor.
func (s *server) page(path string, who option) (uuids []string, next string) {
	s.t.Helper()
	a := s.call("GET", path, "", who)
	require.Equal(s.t, http.StatusOK, a.status, a.body)
	v := a.json()
	for _, k := range v["tempKeys"].([]any) {
		uuids = append(uuids, k.(map[string]any)["uuid"].(string))
	}
	next, _ = v["nextCursor"].(string)
	return uuids, next
}

// pages reads a list to its end.
func (s *server) pages(path string, who option) (uuids []string, pages int) {
	s.t.Helper()
	for next := ""; ; {
		at := path
		if next != "" {
			at += "&cursor=" + url.QueryEscape(next)
		}
		var page []string
		page, next = s.page(at, who)
		uuids, pages = append(uuids, page...), pages+1
		if next == "" {
			return uuids, pages
		}
	}
}

func TestTempKeyPages(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLock(hotel)
	create := func(n int, more string) {
		body := fmt.Sprintf(`{"tempKeyUuid":"%s",%s%s}`, uuidNamed(n), aWindow, more)
		require.Equal(t, http.StatusOK, s.call("POST", "/locks/42/create-temp-key", body, as(hotel)).status)
	}
	var all []string
	for i := range 20 {
		n := 100 - i // the order is that of creation, and of UUIDs within a millisecond only
		if i%4 == 0 {
			s.clock.Advance(time.Second)
		}
		create(n, map[bool]string{true: "", false: `,"maxUses":1`}[i%3 == 0])
		all = append(all, uuidNamed(n))
	}
	whole, next := s.page("/locks/42/temp-keys", as(hotel))
	require.ElementsMatch(t, all, whole)
	require.Empty(t, next, "without a limit the answer is that of the reference")
	require.NotContains(t, s.call("GET", "/locks/42/temp-keys", "", as(hotel)).body, "nextCursor")

	paged, pages := s.pages("/locks/42/temp-keys?limit=7", as(hotel))
	require.Equal(t, whole, paged, "the order does not depend on whether there are pages")
	require.Equal(t, 3, pages)
	one, pages := s.pages("/locks/42/temp-keys?limit=1", as(hotel))
	require.Equal(t, paged, one, "the order does not depend on the pages")
	require.Equal(t, 20, pages)

	// What was there all the time comes once, while others come and go between the pages, the last one of a page too.
	first, cursor := s.page("/locks/42/temp-keys?limit=7", as(hotel))
	for _, gone := range []string{first[0], first[6], paged[8]} {
		s.call("POST", "/locks/42/delete-temp-key", `{"tempKeyUuid":"`+gone+`"}`, as(hotel))
	}
	s.clock.Advance(time.Second)
	create(5, "")
	rest, _ := s.pages("/locks/42/temp-keys?limit=50&cursor="+cursor, as(hotel))
	want := slices.Concat(slices.DeleteFunc(slices.Clone(paged[7:]), func(u string) bool { return u == paged[8] }), []string{uuidNamed(5)})
	require.Equal(t, want, rest)

	require.Equal(t, http.StatusSeeOther, s.call("POST", "/temp-keys/"+uuidNamed(98)+"/open", "").status)
	used, _ := s.pages("/locks/42/temp-keys?status=used-up", as(hotel))
	require.Equal(t, []string{uuidNamed(98)}, used)
	none, _ := s.pages("/locks/42/temp-keys?status=expired", as(hotel))
	require.Empty(t, none)
	none, _ = s.pages("/locks/42/temp-keys?accessMode=user-whitelist&limit=5", as(hotel))
	require.Empty(t, none)
	none, _ = s.pages("/locks/42/temp-keys?createdBy=somebody", as(hotel))
	require.Empty(t, none)
	some, _ := s.pages("/locks/42/temp-keys?createdBy=hotel-9&status=valid&limit=4", as(hotel))
	require.Len(t, some, 17)
}

func TestTempKeysOfACreator(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel, hostel := s.orgKey("hotel-9"), s.orgKey("hostel-2")
	s.withLocks(hotel, 5)
	s.withLock(hostel)
	var items []string
	for i := range 23 {
		items = append(items, bulkKey(1+i%5, `,"tempKeyUuid":"`+uuidNamed(500-i)+`"`))
	}
	require.Equal(t, true, s.call("POST", "/bulk/create-temp-keys", `{"items":[`+strings.Join(items, ",")+`]}`, as(hotel)).json()["success"])
	s.withKey(hostel, "")

	all, pages := s.pages("/locks/temp-keys?limit=10", as(hotel))
	require.Len(t, all, 23)
	require.Equal(t, 3, pages)
	require.True(t, slices.IsSorted(all))
	whole, next := s.page("/locks/temp-keys", as(hotel))
	require.Equal(t, all, whole)
	require.Empty(t, next)
	of3, _ := s.pages("/locks/temp-keys?limit=2&lockId=3", as(hotel))
	require.Len(t, of3, 5)
	bySuper, _ := s.pages("/locks/temp-keys?createdBy=hotel-9&limit=7", as(superKey))
	require.Equal(t, all, bySuper)

	// Another organisation sees nothing of them, not even by name; and a lock that is handed on takes its keys along.
	foreign, _ := s.pages("/locks/temp-keys?createdBy=hotel-9&lockId=3", as(hostel))
	require.Empty(t, foreign)
	s.super("POST", "/locks/3/SetOrganization", `{"orgId":"hostel-2"}`)
	mine, _ := s.pages("/locks/temp-keys?limit=10", as(hotel))
	require.Len(t, mine, 18)
	theirs, pages := s.pages("/locks/temp-keys?createdBy=hotel-9&lockId=3&limit=2", as(hostel))
	require.Equal(t, of3, theirs)
	require.Equal(t, 3, pages)

	// How many of somebody else's are hidden is told by no page, no cursor and no bucket: nobody goes through them.
	for _, who := range []option{as(hostel), bearer(token(t, "eve"))} {
		for _, creator := range []string{"hotel-9", "nobody"} {
			v := s.call("GET", "/locks/temp-keys?createdBy="+creator, "", who).requireError(http.StatusBadRequest, "parameter-missing")
			require.Equal(t, "lockId", v["field"])
		}
	}
	nobody, _ := s.pages("/locks/temp-keys?limit=1", bearer(token(t, "eve")))
	require.Empty(t, nobody)
}

// A UUID opens a door, so that nobody may find one that is hidden from them in a cursor.
func TestCursorsTellNoHiddenKeys(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	hotel := s.orgKey("hotel-9")
	s.withLocks(hotel, 5)
	hidden := make(map[string]bool)
	for range 5 {
		var items []string
		for i := range 500 {
			id := uuid.NewString()
			hidden[id], hidden[id[:8]] = true, true
			items = append(items, bulkKey(1+i%4, `,"tempKeyUuid":"`+id+`"`))
		}
		require.Equal(t, true, s.call("POST", "/bulk/create-temp-keys", `{"items":[`+strings.Join(items, ",")+`]}`, as(hotel)).json()["success"])
	}
	var own []string // of the same creator, and spread between the others
	for i := range 16 {
		id := fmt.Sprintf("%x0000000-0000-4000-8000-000000000000", i)
		own = append(own, id)
		require.Equal(t, true, s.call("POST", "/bulk/create-temp-keys", `{"items":[`+bulkKey(5, `,"tempKeyUuid":"`+id+`"`)+`]}`, as(hotel)).json()["success"])
	}
	for lockID := range 4 {
		s.super("POST", fmt.Sprintf("/locks/%d/SetOrganization", lockID+1), `{"orgId":"hostel-2"}`)
	}

	for _, path := range []string{"/locks/temp-keys?createdBy=hotel-9&limit=1", "/locks/temp-keys?createdBy=hotel-9&limit=500", "/locks/temp-keys?createdBy=hotel-9&status=expired"} {
		var seen []string
		for next, pages := "", 0; ; pages++ {
			require.Less(t, pages, 40, "it comes to an end")
			var page []string
			page, next = s.page(path+"&cursor="+next, as(hotel))
			seen = append(seen, page...)
			if next == "" {
				break
			}
			data, err := base64.RawURLEncoding.DecodeString(next)
			require.NoError(t, err)
			place, err := uuid.FromBytes(data[len(data)-16:])
			require.NoError(t, err)
			require.NotContains(t, hidden, place.String())
			require.NotContains(t, hidden, place.String()[:8], "nor the beginning of one")
		}
		if !strings.Contains(path, "expired") {
			require.Equal(t, own, seen)
		}
	}
}

func TestHostileCursors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.withLock(superKey)
	s.withKey(superKey, "")
	s.super("POST", "/locks/42/create-temp-key", `{`+aWindow+`}`)
	_, cursor := s.page("/locks/42/temp-keys?limit=1", as(superKey))
	require.NotEmpty(t, cursor)
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	require.NoError(t, err)
	late := slices.Clone(data)
	copy(late[8:], "\x7f\xff\xff\xff\xff\xff\xff\xff")
	for _, path := range []string{"/locks/42/temp-keys?limit=1&cursor=", "/locks/temp-keys?cursor="} {
		for _, c := range []string{
			"x", "....", cursor[1:], cursor + "A", cursor + "=", cursor[:len(cursor)-1], strings.Repeat("A", len(cursor)), strings.Repeat("A", 5000),
			base64.RawURLEncoding.EncodeToString(late), base64.StdEncoding.EncodeToString(append(data, 0xff)), "%00", "%F0%28", "null", "../../x",
		} {
			v := s.super("GET", path+c, "").requireError(http.StatusBadRequest, "cursor-invalid")
			require.Equal(t, "cursor", v["field"])
		}
	}
	// A cursor is of one list.
	s.super("GET", "/locks/42/temp-keys?limit=1&status=valid&cursor="+cursor, "").requireError(http.StatusBadRequest, "cursor-invalid")
	s.super("GET", "/locks/43/temp-keys?limit=1&cursor="+cursor, "").requireError(http.StatusBadRequest, "cursor-invalid")
	s.super("GET", "/locks/temp-keys?limit=1&cursor="+cursor, "").requireError(http.StatusBadRequest, "cursor-invalid")
	rest, next := s.page("/locks/42/temp-keys?limit=2&cursor="+cursor, as(superKey))
	require.Len(t, rest, 1, "the size of a page may change")
	require.Empty(t, next)

	for _, c := range []struct{ query, reason, field string }{
		{"limit=0", "limit-invalid", "limit"}, {"limit=501", "limit-invalid", "limit"}, {"limit=x", "limit-invalid", "limit"}, {"limit=-1", "limit-invalid", "limit"},
		{"status=good", "status-invalid", "status"}, {"accessMode=private", "access-mode-invalid", "accessMode"},
		{"createdBy=" + strings.Repeat("x", 801), "created-by-invalid", "createdBy"}, {"createdBy=%ff", "created-by-invalid", "createdBy"},
		{"createdBy=a%00", "created-by-invalid", "createdBy"},
		{"limit=1&limit=2", "parameter-twice", "limit"},
	} {
		for _, path := range []string{"/locks/42/temp-keys?", "/locks/temp-keys?"} {
			v := s.super("GET", path+c.query, "").requireError(http.StatusBadRequest, c.reason)
			require.Equal(t, c.field, v["field"], c.query)
		}
	}
	for _, list := range []string{"/locks/temp-keys", "/temp-keys"} {
		v := s.super("GET", list+"?lockId=x", "").requireError(http.StatusBadRequest, "lock-id-invalid")
		require.Equal(t, "lockId", v["field"])
	}
	for _, text := range []string{"a\x00b", "\xff", "a\n"} {
		for _, path := range []string{"/temp-keys?cursor=", "/organizations?cursor="} {
			s.super("GET", path+base64.RawURLEncoding.EncodeToString([]byte(text)), "").requireError(http.StatusBadRequest, "cursor-invalid")
		}
	}
}

// unreadable is a lock that cannot be loaded, beside others that can.
type unreadable struct {
	*kernel
	id lock.ID
}

func (u unreadable) Do(ctx context.Context, id lock.ID, c lock.Command) (lock.Reply, error) {
	if _, list := c.(*lock.ListTempKeys); list && id == u.id {
		return nil, &lock.Error{Kind: lock.Busy, Reason: "unavailable", Message: "The lock could not be read."}
	}
	return u.kernel.Do(ctx, id, c)
}

// Whoever is not told all of their keys hears which lock it is for.
func TestAListSaysWhichLockFails(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *api.Options) { o.Locks = unreadable{o.Locks.(*kernel), 3} })
	hotel := s.orgKey("hotel-9")
	s.withLocks(hotel, 5)
	for i := range 5 {
		a := s.call("POST", fmt.Sprintf("/locks/%d/create-temp-key", i+1), "{"+aWindow+"}", as(hotel))
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	v := s.call("GET", "/locks/temp-keys", "", as(hotel)).requireError(http.StatusServiceUnavailable, "unavailable")
	require.Equal(t, "Lock 3: The lock could not be read.", v["message"])
}
