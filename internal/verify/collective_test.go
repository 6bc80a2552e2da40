package verify_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
	"github.com/latchkey/latchkey/lock"
)

// unwilling locks grant no door.
type unwilling struct{}

func (unwilling) Do(_ context.Context, id lock.ID, c lock.Command) (lock.Reply, error) {
	switch c.(type) {
	case *lock.GetLock:
		return &lock.Info{ID: id}, nil
	case *lock.CreateTempKey:
		return nil, &lock.Error{Kind: lock.Conflict, Reason: "too-many-temp-keys"}
	}
	return nil, &lock.Error{Kind: lock.NotFound, Reason: "temp-key-not-found"}
}

// The end of a key that was undone has taken the UUIDs of its doors, as its records say.
func TestAKeyThatWasUndoneIsUnderstood(t *testing.T) {
	t.Parallel()
	j := memory.New()
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	keys, err := collective.New(collective.Options{Journal: j, Locks: unwilling{}})
	require.NoError(t, err)
	_, err = keys.Create(t.Context(), collective.Create{
		By: lock.Caller{OrgID: "acme"}, ValidFrom: time.Now(), ValidUntil: time.Now().Add(time.Hour),
		Doors: []collective.NewDoor{{LockID: 1, Access: collective.ByKey}, {LockID: 2, Access: collective.ByKey}},
	})
	var e *lock.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "too-many-temp-keys", e.Reason)
	found, summary := check(t, j)
	require.Empty(t, found)
	require.Equal(t, 1, summary.Streams)
	require.EqualValues(t, 3, summary.Records)
	rows, err := j.Index(t.Context(), journal.IndexRow{}, 10)
	require.NoError(t, err)
	require.Len(t, rows, 3, "the key's own UUID, and those of its doors")
}
