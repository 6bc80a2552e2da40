package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/audit"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// world is a journal with the locks and keys of some organisations.
type world struct {
	t testing.TB
	journal.Journal
	versions map[lock.ID]uint64
}

func newWorld(t testing.TB) *world {
	t.Helper()
	j := memory.New()
	t.Cleanup(func() { _ = j.Close() })
	return &world{t, j, map[lock.ID]uint64{}}
}

func (w *world) happened(id lock.ID, e lock.Event) {
	w.t.Helper()
	typ, data, err := lock.MarshalEvent(e)
	require.NoError(w.t, err)
	_, err = journal.Do(w.t.Context(), w, journal.Append{
		Stream: "lock/" + id.String(), Expected: w.versions[id], ID: fmt.Sprint(id, w.versions[id]),
		Records: []journal.NewRecord{{Type: typ, Time: noon, Data: data}},
	})
	require.NoError(w.t, err)
	w.versions[id]++
}

func stamp(org lock.OrgID) lock.Stamp {
	return lock.Stamp{At: noon, LockUUID: "u", OrgID: org, By: "ann", ByUser: true, Via: "lk_abcdef", From: "203.0.113.7"}
}

// read reads a whole log from a position on.
func (w *world) read(org lock.OrgID, after uint64) (all []audit.Event, pages int) {
	w.t.Helper()
	log := audit.New(w)
	for {
		page, err := log.Organization(w.t.Context(), org, after)
		require.NoError(w.t, err)
		require.GreaterOrEqual(w.t, page.Until, after)
		all, pages, after = append(all, page.Events...), pages+1, page.Until
		if page.End {
			return all, pages
		}
	}
}

func TestALogHasWhatIsTheOrganisationsAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keys, err := tenant.New(tenant.Options{Journal: w, Now: func() time.Time { return noon }})
	require.NoError(t, err)
	operator := lock.Caller{Super: true, Addr: "203.0.113.8"}
	key, _, err := keys.Create(t.Context(), operator, "hotel", tenant.NewKey{Name: "hostel"}) // the name of another organisation
	require.NoError(t, err)
	w.happened(1, &lock.LockCreated{Stamp: stamp("hotel"), LockID: 1})
	w.happened(2, &lock.LockCreated{Stamp: stamp("hostel"), LockID: 2})
	w.happened(2, &lock.OwnerSet{Stamp: stamp("hostel"), UserID: "hotel"}) // a user of the same name
	w.happened(1, &lock.OrganizationSet{Stamp: stamp("hostel"), NewOrgID: "hostel", OldOrgID: "hotel"})
	w.happened(3, &lock.LockCreated{Stamp: stamp(""), LockID: 3})
	_, err = journal.Do(t.Context(), w, journal.Append{
		Stream: "else/1", ID: "1", Records: []journal.NewRecord{{Type: "Else", Time: noon, Data: []byte(`{"orgId":"hotel"}`)}},
	})
	require.NoError(t, err)
	_, err = keys.Revoke(t.Context(), operator, "hotel", key.ID)
	require.NoError(t, err)

	hotel, _ := w.read("hotel", 0)
	require.Len(t, hotel, 4)
	require.Equal(t, []string{"ApiKeyCreated", "LockCreated", "OrganizationSet", "ApiKeyRevoked"},
		[]string{hotel[0].Type, hotel[1].Type, hotel[2].Type, hotel[3].Type})
	require.Equal(t, audit.Event{
		AggregateType: "lock", AggregateID: "1", Version: 1, Position: 2, Type: "LockCreated", At: noon, OrgID: "hotel", By: "ann", ByType: "user",
		Via: "lk_abcdef", From: "203.0.113.7", Data: hotel[1].Data,
	}, hotel[1])
	require.Equal(t, "organization", hotel[3].AggregateType)
	require.Equal(t, "super", hotel[3].By)
	require.Equal(t, "super", hotel[3].ByType)
	require.Equal(t, "203.0.113.8", hotel[3].From)
	require.Equal(t, map[string]any{"keyId": key.ID, "orgId": lock.OrgID("hotel"), "timestamp": "2026-05-01T12:00:00.000Z"}, hotel[3].Data)

	hostel, _ := w.read("hostel", 0)
	require.Len(t, hostel, 3)
	require.Equal(t, "203.0.113.7", hotel[2].From, "who gave the lock away knows from where")
	require.Equal(t, hotel[2].Position, hostel[2].Position)
	require.Empty(t, hostel[2].From+hostel[2].Via, "and who got it is not told")
	rest, _ := w.read("hostel", hostel[0].Position)
	require.Equal(t, hostel[1:], rest)
	nobody, _ := w.read("nobody", 0)
	require.Empty(t, nobody)
	none, _ := w.read("hotel", 1<<40)
	require.Empty(t, none)
}

// Organisations may have any name, and records write some letters in two ways.
func TestNamesOfOrganisations(t *testing.T) {
	t.Parallel()
	for _, org := range []lock.OrgID{`B&B <"Zur Post">`, "Zürich", `back\slash`, "sep\u2028arator", "日本"} {
		w := newWorld(t)
		w.happened(1, &lock.OwnerSet{Stamp: stamp(org), UserID: "u"})                       // written by encoding/json
		w.happened(1, &lock.TempKeyUsed{Stamp: stamp(org), TempKeyID: "k", RequestID: "r"}) // written by hand
		w.happened(2, &lock.OwnerSet{Stamp: stamp("other"), UserID: lock.UserID(org)})
		all, _ := w.read(org, 0)
		require.Len(t, all, 2, "%q", org)
	}
}

func TestALongLogComesInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const events = 2500
	for i := range events {
		org := lock.OrgID("hostel")
		if i%5 == 0 {
			org = "hotel"
		}
		w.happened(lock.ID(i%7+1), &lock.OwnerSet{Stamp: stamp(org), UserID: "u"})
	}
	all, pages := w.read("hotel", 0)
	require.Len(t, all, events/5)
	require.Equal(t, 3, pages)
	last := uint64(0)
	for _, e := range all {
		require.Greater(t, e.Position, last)
		last = e.Position
	}
	for _, after := range []uint64{1, 999, 1000, 1001, 2499} {
		rest, _ := w.read("hotel", after)
		for i, e := range rest {
			require.Equal(t, all[len(all)-len(rest)+i], e)
		}
	}
}

func TestARecordThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := journal.Do(t.Context(), w, journal.Append{
		Stream: "lock/1", ID: "1", Records: []journal.NewRecord{{Type: "LockMelted", Time: noon, Data: []byte(`{"orgId":"hotel"}`)}},
	})
	require.NoError(t, err)
	_, err = audit.New(w).Organization(t.Context(), "hotel", 0)
	require.ErrorContains(t, err, "lock/1, version 1")
}

// BenchmarkOrganization reads a journal in which one record of a hundred is the organisation's.
func BenchmarkOrganization(b *testing.B) {
	w := newWorld(b)
	const records = 10_000
	for i := range records {
		org := lock.OrgID("hostel")
		if i%100 == 0 {
			org = "hotel"
		}
		w.happened(lock.ID(i%50+1), &lock.TempKeyUsed{Stamp: stamp(org), TempKeyID: "3d0e8c3a-5a0f-4a53-8f0b-5f3c2f1f7a10", RequestID: "r"})
	}
	for b.Loop() {
		w.read("hotel", 0)
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
}
