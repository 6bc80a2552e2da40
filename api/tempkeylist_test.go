package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/api"
	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/lock"
)

// listing answers every command with one list.
type listing struct {
	*kernel
	list *lock.TempKeyList
}

func (l listing) Do(context.Context, lock.ID, lock.Command) (lock.Reply, error) { return l.list, nil }

// listOf gets a list over the API, and returns it with what encoding/json makes of the same.
func listOf(t *testing.T, list *lock.TempKeyList) (got, want string) {
	t.Helper()
	s := newServer(t, func(o *api.Options) { o.Locks, o.PublicURL = listing{list: list}, "https://keys.example" })
	expected := api.TempKeyList{TempKeys: []api.TempKey{}}
	for _, k := range list.TempKeys {
		users := []string{}
		for _, u := range k.AllowedUserIDs {
			users = append(users, string(u))
		}
		var next *api.NextWindow
		if w := k.NextWindow; w != nil {
			next = &api.NextWindow{From: lock.Instant(w.From), Until: optionalInstant(w.Until)}
		}
		var access collective.Access
		var of lock.TempKeyID
		if k.Door != nil {
			access, of = collective.AccessOf(k.Door), k.Door.Key
		}
		expected.TempKeys = append(expected.TempKeys, api.TempKey{
			Schedule: k.Schedule, GraceBeforeSeconds: k.GraceBeforeSeconds, GraceAfterSeconds: k.GraceAfterSeconds,
			OpenUntil: optionalInstant(k.OpenUntil), NextWindow: next, AccessMethod: access, CollectiveKeyUuid: string(of),
			Uuid: string(k.UUID), LockId: int64(list.ID), LockUuid: string(list.UUID), AccessMode: k.AccessMode, AllowedUserIds: users,
			ValidFrom: lock.Instant(k.ValidFrom), ValidUntil: lock.Instant(k.ValidUntil), MaxUses: k.MaxUses, UsedCount: k.UsedCount,
			Description: k.Description, CreatedAt: lock.Instant(k.CreatedAt), CreatedBy: k.CreatedBy, Status: k.Status,
			Url: "https://keys.example/temp-keys/" + string(k.UUID),
		})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(&expected))
	a := s.super("GET", "/locks/42/temp-keys", "")
	require.Equal(t, http.StatusOK, a.status)
	return a.body, b.String()
}

func optionalInstant(t *time.Time) string {
	if t == nil {
		return ""
	}
	return lock.Instant(*t)
}

func TestListsAreWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	five := int64(5)
	list := &lock.TempKeyList{ID: 9007199254740991, UUID: deviceUUID}
	got, want := listOf(t, list)
	require.Equal(t, want, got)

	at := time.Date(2026, 5, 1, 23, 59, 59, 999_999_999, time.FixedZone("", -9*3600-1800))
	for i, text := range []string{
		"", "plain <b>&", `quote " and \ backslash`, "tab\tline\n\x00\x1f\x7f", "Müller, \u4e2d\u6587 \U0001f511", "bad \xff utf-8 \xc3", "line\u2028separator",
	} {
		k := lock.TempKeyView{Status: lock.StatusUsedUp, TempKey: lock.TempKey{
			UUID: keyUUID, AccessMode: lock.UserWhitelist, ValidFrom: at.AddDate(i, 0, i), ValidUntil: at.Add(time.Duration(i*i*i) * 37 * time.Millisecond),
			CreatedAt: time.Date(1, 1, 1, 0, 0, i, i*1_234_567, time.UTC), CreatedBy: text, Description: text, UsedCount: int64(i),
		}}
		for range i {
			k.AllowedUserIDs = append(k.AllowedUserIDs, lock.UserID(text))
		}
		if i%2 == 0 {
			k.MaxUses = &five
			k.NextWindow, k.GraceAfterSeconds = &lock.NextWindow{From: at, Until: &at}, int64(i)
		}
		if i%4 == 1 {
			k.Door = &lock.Door{Key: lock.TempKeyID(uuidNamed(i)), Link: true, PIN: []byte{1}}
		}
		if i%4 == 2 {
			k.Door = new(lock.Door)
		}
		if i%3 == 0 {
			k.OpenUntil, k.GraceBeforeSeconds, k.NextWindow = &at, 5, &lock.NextWindow{From: at}
			k.Schedule = &lock.Schedule{TimeZone: "Europe/Berlin", Rules: []lock.Rule{{Days: 5, Hours: lock.Hours{From: 60, Until: 1440}}}, Except: []lock.Date{20000}}
		}
		list.TempKeys = append(list.TempKeys, k)
	}
	got, want = listOf(t, list)
	require.Equal(t, want, got)
}

func TestLongListsAreWrittenInParts(t *testing.T) {
	t.Parallel()
	list := &lock.TempKeyList{ID: 42, UUID: deviceUUID}
	for i := range 1000 {
		list.TempKeys = append(list.TempKeys, lock.TempKeyView{Status: lock.StatusValid, TempKey: lock.TempKey{
			UUID: lock.TempKeyID(uuidNamed(i)), AccessMode: lock.Public, Description: strings.Repeat("x", i*37%2000),
		}})
	}
	got, want := listOf(t, list)
	require.Equal(t, want, got)
}
