package verify_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/verify"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/postgres/pgtest"
	"github.com/latchkey/latchkey/lock"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// door is a lock whose commands go into a journal, as its grain would have them.
type door struct {
	t     testing.TB
	j     journal.Journal
	state *lock.State
	now   time.Time
	n     int // of commands
}

func newDoor(t testing.TB, j journal.Journal, id lock.ID) *door {
	d := &door{t: t, j: j, state: new(lock.State), now: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)}
	d.do(&lock.CreateLock{By: super, ID: id, UUID: lock.UUID(fmt.Sprintf("00000000-0000-4000-8000-%012d", id)), Index: 1, OwnerID: "ann"})
	d.do(&lock.SetOrganization{By: super, OrgID: "acme"})
	d.do(&lock.ConnectDevice{Device: lock.Device{Session: d.session(), BootID: "b", Deadline: true, Journal: true}})
	return d
}

var super = lock.Caller{Super: true}

func (d *door) session() lock.Session { return lock.Session{Node: "node", ID: 1} }

func (d *door) stream() string { return "lock/" + d.state.ID.String() }

func (d *door) do(c lock.Command) lock.Decision {
	d.t.Helper()
	d.n++
	d.now = d.now.Add(time.Second)
	decision, err := lock.Decide(d.state, c, d.now)
	require.NoError(d.t, err)
	a := journal.Append{Expected: d.state.Version, ID: fmt.Sprint("command ", d.n)}
	for _, e := range decision.Events {
		if lock.Journaled(e) {
			typ, data, err := lock.MarshalEvent(e)
			require.NoError(d.t, err)
			a.Records = append(a.Records, journal.NewRecord{Type: typ, Time: d.now, Data: data})
		}
		switch e := e.(type) {
		case *lock.LockCreated:
			a.Index = append(a.Index, journal.IndexChange{Op: journal.Claim, Kind: "device", Key: string(e.LockUUID)})
		case *lock.LockUuidChanged:
			a.Index = append(a.Index, journal.IndexChange{Op: journal.Claim, Kind: "device", Key: string(e.NewUUID)})
		case *lock.BulkAddStarted:
			a.Index = append(a.Index, journal.IndexChange{Op: journal.Put, Kind: "job", Key: "running", Ref: string(e.Job)})
		case *lock.BulkAddEnded:
			a.Index = append(a.Index, journal.IndexChange{Op: journal.Remove, Kind: "job", Key: "running", Ref: string(e.Job)})
		case *lock.TempKeyCreated:
			a.Index = append(a.Index,
				journal.IndexChange{Op: journal.Claim, New: true, Kind: "temp-key", Key: string(e.Key.UUID)},
				journal.IndexChange{Op: journal.Put, Kind: "temp-key-by-creator", Key: e.Key.CreatedBy, Ref: string(e.Key.UUID)})
		case *lock.TempKeyDeleted:
			a.Index = append(a.Index, journal.IndexChange{Op: journal.Remove, Kind: "temp-key-by-creator", Key: "super", Ref: string(e.TempKeyID)})
		}
		lock.Evolve(d.state, e)
	}
	if len(a.Records) > 0 {
		a.Stream = d.stream()
		_, err := journal.Do(d.t.Context(), d.j, a)
		require.NoError(d.t, err)
	}
	return decision
}

// key creates a temporary key.
func (d *door) key(n int, maxUses int64) lock.TempKeyID {
	id := lock.TempKeyID(fmt.Sprintf("00000000-0000-4000-9000-%06d%06d", d.state.ID, n))
	d.do(&lock.CreateTempKey{By: super, UUID: id, AccessMode: lock.Public, ValidFrom: d.now, ValidUntil: d.now.Add(24 * time.Hour), MaxUses: &maxUses})
	return id
}

// open asks for an open, and returns its command.
func (d *door) open(key lock.TempKeyID) lock.CommandID {
	id := fmt.Sprint("open-", d.n)
	d.do(&lock.OpenWithTempKey{TempKeyID: key, RequestID: lock.RequestID(id), CommandID: lock.CommandID(id), Lifetime: 5 * time.Second, Hold: 10 * time.Second})
	return lock.CommandID(id)
}

func (d *door) answer(id lock.CommandID, opened bool) {
	answer := &lock.AnswerOpen{Session: d.session(), CommandID: id, Opened: opened}
	if !opened {
		answer.Code, answer.Executed = "Jammed", lock.NotExecuted
	}
	d.do(answer)
}

// save saves a snapshot and waits until it is there.
func (d *door) save() {
	data, err := lock.MarshalState(d.state)
	require.NoError(d.t, err)
	s := journal.Snapshot{Stream: d.stream(), Version: d.state.Version, Codec: lock.StateCodec, Data: data}
	require.NoError(d.t, d.j.SaveSnapshot(d.t.Context(), s))
	require.Eventually(d.t, func() bool {
		kept, ok, err := d.j.LoadSnapshot(d.t.Context(), s.Stream)
		return err == nil && ok && kept.Version == s.Version
	}, 10*time.Second, time.Millisecond)
}

// world writes a small journal in which everything happens: lock/1 has snapshots, used, returned and deleted keys.
// Its lock/2 has one key that may be used once, and was. org/acme has an API key.
func world(t testing.TB, j journal.Journal) (one, two *door) {
	one, two = newDoor(t, j, 1), newDoor(t, j, 2)
	k1, k2 := one.key(1, 3), one.key(2, 1)
	one.answer(one.open(k1), true)
	one.answer(one.open(k1), false)
	one.answer(one.open(k2), true)
	one.save()
	one.do(&lock.DeleteTempKey{By: super, TempKeyID: k2})
	one.do(&lock.DisconnectDevice{Session: one.session()})
	one.open(k1) // held
	two.answer(two.open(two.key(1, 1)), true)
	two.key(2, 7)

	hash := sha256.Sum256([]byte("secret"))
	data, err := json.Marshal(map[string]string{"orgId": "acme", "hash": hex.EncodeToString(hash[:])})
	require.NoError(t, err)
	_, err = journal.Do(t.Context(), j, journal.Append{
		Stream: "org/acme", ID: "key", Records: []journal.NewRecord{{Type: "ApiKeyCreated", Time: one.now, Data: data}},
		Index: []journal.IndexChange{{Op: journal.Claim, Kind: "api-key", Key: hex.EncodeToString(hash[:])}},
	})
	require.NoError(t, err)
	return one, two
}

// check returns what is found.
func check(t testing.TB, j journal.Journal) (found []string, s verify.Summary) {
	t.Helper()
	s, err := verify.Check(context.Background(), j, func(f verify.Finding) { found = append(found, f.String()) })
	require.NoError(t, err)
	require.Len(t, found, s.Findings)
	return found, s
}
