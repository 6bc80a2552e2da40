package verify_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/directory"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
)

// keysAndPeople writes a journal with permanent keys, jobs that have ended and one that has not, a device that was replaced, a
// configuration, a counted use, and people whom organisations know.
func keysAndPeople(t *testing.T, j journal.Journal) *door {
	d := newDoor(t, j, 3)
	key := d.key(1, 5)
	d.do(&lock.UseTempKey{By: super, TempKeyID: key})
	d.do(&lock.ConnectDevice{Device: lock.Device{Session: d.session(), BootID: "b", Deadline: true, Journal: true, Keys: true}})
	told := func(c lock.Command) lock.CommandID {
		return d.do(c).Effects[0].(*lock.SendKey).CommandID
	}
	card := lock.Key{UUID: "card-1"}
	d.do(&lock.AnswerKey{CommandID: told(&lock.AddKey{By: super, Key: card, CommandID: "k1"}), Done: true})
	d.do(&lock.AnswerKey{CommandID: told(&lock.WriteKey{By: super, KeyUUID: "card-1", CommandID: "k2"}), Executed: lock.NotExecuted, Code: "Busy"})
	d.do(&lock.AnswerKey{CommandID: told(&lock.RemoveKey{By: super, KeyUUID: "card-1", CommandID: "k3"}), Code: "Internal"})
	d.do(&lock.SetConfig{By: super, RelockMs: 4000})
	d.do(&lock.AnswerConfig{Session: d.session(), Number: d.state.Config.Number})
	d.do(&lock.ChangeLockUUID{By: super, NewUUID: "00000000-0000-4000-8000-00000000abcd"})
	d.do(&lock.BulkAddKeys{By: super, Job: "job-1", Keys: []lock.Key{{UUID: "card-2"}, card}})
	for range 3 {
		d.do(new(lock.Tick))
	}
	d.do(&lock.BulkAddKeys{By: super, Job: "job-2", Keys: []lock.Key{{UUID: "card-3"}}})
	d.save()

	people, err := directory.New(directory.Options{Journal: j})
	require.NoError(t, err)
	for _, org := range []lock.OrgID{"acme", "umbrella"} {
		_, _, err = people.FindOrCreate(t.Context(), org, directory.Contact{Email: "ann@example.org"}, super)
		require.NoError(t, err)
		_, _, err = people.FindOrCreate(t.Context(), org, directory.Contact{Email: "ann@example.org", Phone: "+4930901820"}, super)
		require.NoError(t, err)
	}
	return d
}

func TestKeysAndPeopleAreUnderstood(t *testing.T) {
	t.Parallel()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	keysAndPeople(t, j)
	found, summary := check(t, j)
	require.Empty(t, found)
	require.Equal(t, 3, summary.Streams)
	require.Equal(t, 1, summary.Snapshots)
}

func TestWrongRecordsOfKeysAndPeopleAreFound(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	user := func(fields string) string {
		return `{"at":"2026-05-01T10:00:00Z","orgId":"acme","userId":"u1"` + fields + `}`
	}
	for name, c := range map[string]struct {
		stream  string
		records []journal.NewRecord
		index   []journal.IndexChange
		says    string
	}{
		"another device than before": {"lock/3", []journal.NewRecord{{Type: "LockUuidChanged", Data: []byte(`{"at":"2026-05-01T10:00:00Z","lockUuid":"x","newUuid":"x","previousUuid":"y"}`)}},
			[]journal.IndexChange{{Op: journal.Claim, Kind: "device", Key: "x"}}, "the device before was"},
		"a job without an end in the index": {"lock/3", []journal.NewRecord{{Type: "BulkAddEnded", Data: []byte(`{"at":"2026-05-01T10:00:00Z","instanceId":"job-2"}`)}}, nil, "was removed at position"},
		"a user who is not the stream's":    {"user/u2", []journal.NewRecord{{Type: "UserCreated", Data: []byte(user(""))}}, nil, "is about the user"},
		"a user who was never created":      {"user/u1", []journal.NewRecord{{Type: "UserContactAdded", Data: []byte(user(""))}}, nil, "created once"},
		"an address without its claim":      {"user/u1", []journal.NewRecord{{Type: "UserCreated", Data: []byte(user(`,"email":"bob@example.org"`))}}, nil, "is missing"},
		"two addresses": {"user/u1", []journal.NewRecord{
			{Type: "UserCreated", Data: []byte(user(`,"phone":"+1"`))}, {Type: "UserContactAdded", Data: []byte(user(`,"phone":"+2"`))},
		}, nil, "another address"},
		"no record of a user": {"user/u1", []journal.NewRecord{{Type: "UserPainted", Data: []byte(user(""))}}, nil, "which no user has"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := memory.New()
			t.Cleanup(func() { require.NoError(t, j.Close()) })
			d := keysAndPeople(t, j)
			a := journal.Append{Stream: c.stream, ID: "wrong", Records: c.records, Index: c.index}
			if c.stream == d.stream() {
				a.Expected = d.state.Version
			}
			for i := range a.Records {
				a.Records[i].Time = now
				require.True(t, json.Valid(a.Records[i].Data))
			}
			_, err := journal.Do(t.Context(), j, a)
			require.NoError(t, err)
			found, _ := check(t, j)
			require.NotEmpty(t, found)
			require.Contains(t, found[0], c.says)
		})
	}
}
