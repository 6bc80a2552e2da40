package actors

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// TestALockThatANewerProgramChangedIsNotLoaded is what an old member of a cluster does during an upgrade: a key whose hours it does not
// know must not open at any hour, and nothing must be written that leaves them out.
func TestALockThatANewerProgramChangedIsNotLoaded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, j journal.Journal) {
		w := start(t, j, nil)
		id := w.newLock()
		key := w.newKey(id, 0)
		w.stop()
		head, _, err := j.Head(t.Context(), Stream(id))
		require.NoError(t, err)
		records, err := j.Read(t.Context(), Stream(id), head-1, 1)
		require.NoError(t, err)
		newer := records[0]
		newer.Data = []byte(strings.Replace(string(newer.Data), `"accessMode"`, `"onlyWhenItRains":true,"accessMode"`, 1))
		require.NotEqual(t, records[0].Data, newer.Data)
		done, err := journal.Do(t.Context(), j, journal.Append{
			Stream: Stream(id), Expected: head, ID: "newer", Records: []journal.NewRecord{{Type: newer.Type, Time: newer.Time, Data: newer.Data}},
		})
		require.NoError(t, err)

		var log bytes.Buffer
		old := start(t, j, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		old.own(id)
		for _, c := range []lock.Command{opening(key, "first"), &lock.SetOwner{By: owner, UserID: "ann"}, &lock.GetLock{By: owner}} {
			_, err := old.Do(within(t, time.Second), id, c)
			rejected(t, err, lock.Busy, "unavailable")
		}
		old.stop()
		require.Contains(t, log.String(), "level=ERROR")
		require.Contains(t, log.String(), Stream(id))
		require.Contains(t, log.String(), lock.ErrNewer.Error())
		require.Contains(t, log.String(), "onlyWhenItRains")
		now, _, err := j.Head(t.Context(), Stream(id))
		require.NoError(t, err)
		require.Equal(t, done.Version, now)
		_, ok, err := j.LoadSnapshot(t.Context(), Stream(id))
		require.NoError(t, err)
		require.False(t, ok)
	})
}

// TestSnapshotsOfOthersAreNotGoneOnFrom has snapshots which say less than the records: of a program from before they were compared with
// what it knows, and of one that is newer.
func TestSnapshotsOfOthersAreNotGoneOnFrom(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	key := w.newKey(id, 3)
	version := w.must(id, &lock.GetLock{By: owner}).(*lock.Info).Version
	w.stop()
	for _, codec := range []string{"lock-state-1", "lock-state-9"} {
		less := lock.State{ID: id, UUID: uuidOf(id), OrgID: org, Version: version}
		data, err := lock.MarshalState(&less)
		require.NoError(t, err)
		j := inMemory(t)
		records, err := w.journal.Read(t.Context(), Stream(id), 0, 10)
		require.NoError(t, err)
		for i, r := range records {
			_, err := journal.Do(t.Context(), j, journal.Append{
				Stream: r.Stream, Expected: uint64(i), ID: r.AppendID, Records: []journal.NewRecord{{Type: r.Type, Time: r.Time, Data: r.Data}},
			})
			require.NoError(t, err)
		}
		require.NoError(t, j.SaveSnapshot(t.Context(), journal.Snapshot{Stream: Stream(id), Version: version, Codec: codec, Data: data}))
		after := start(t, j, nil)
		after.own(id)
		require.EqualValues(t, 3, *after.keyOf(id, key).MaxUses, codec)
		after.stop()
	}
}
