package actors

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

func TestAnotherActivationKnowsTheSame(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, j journal.Journal) {
		before := start(t, j, nil)
		id := before.newLock()
		key := before.newKey(id, 9)
		before.connect(id, opens)
		for i := range 4 {
			_, err := before.open(id, key, request(i))
			require.NoError(t, err)
		}
		info := before.must(id, &lock.GetLock{By: owner}).(*lock.Info)
		before.stop()

		after := start(t, j, nil)
		after.own(id)
		require.EqualValues(t, 4, after.keyOf(id, key).UsedCount)
		now := after.must(id, &lock.GetLock{By: owner}).(*lock.Info)
		require.Equal(t, info.Version, now.Version)
		require.False(t, now.Online)
		result, err := after.open(id, key, request(3))
		require.NoError(t, err)
		require.Equal(t, lock.Opened, result.Outcome)
		require.EqualValues(t, 4, after.keyOf(id, key).UsedCount)
	})
}

func TestAnIdleGrainLeavesMemory(t *testing.T) {
	t.Parallel()
	j := inMemory(t)
	w := start(t, j, func(o *Options) { o.IdleAfter = 100 * time.Millisecond })
	id := w.newLock()
	key := w.newKey(id, 0)
	session := w.connect(id, opens)
	for i := range worthSaving {
		_, err := w.open(id, key, request(i))
		require.NoError(t, err)
	}
	require.Never(t, func() bool { return w.metric("activations") == 0 }, 300*time.Millisecond, 20*time.Millisecond)
	_, saved, err := j.LoadSnapshot(t.Context(), Stream(id))
	require.NoError(t, err)
	require.False(t, saved)

	w.must(id, &lock.DisconnectDevice{Session: session})
	require.Eventually(t, func() bool { return w.metric("activations") == 0 }, 5*time.Second, 5*time.Millisecond)
	snapshot, saved, err := j.LoadSnapshot(t.Context(), Stream(id))
	require.NoError(t, err)
	require.True(t, saved)
	require.EqualValues(t, 2+3*worthSaving, snapshot.Version)
	require.EqualValues(t, worthSaving, w.keyOf(id, key).UsedCount)
}

func TestAGrainThatOwesAnAnswerStays(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), func(o *Options) { o.IdleAfter = 50 * time.Millisecond })
	id := w.newLock()
	key := w.newKey(id, 1)
	c := opening(key, "first")
	c.Hold = 500 * time.Millisecond
	w.must(id, c)
	// Nobody asks, and the use still comes back.
	require.Eventually(t, func() bool {
		records, _, err := w.Events(t.Context(), id, 0, 100)
		return err == nil && len(records) == 6
	}, 5*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { return w.metric("activations") == 0 }, 5*time.Second, 5*time.Millisecond)
}

func TestALockThatWasNeverCreatedTakesNoMemory(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	const asked = 20
	var ids []lock.ID
	for range asked {
		id := lock.ID(lastLock.Add(1))
		ids = append(ids, id)
		w.own(id)
		_, err := w.Do(within(t, time.Second), id, &lock.GetLock{By: owner})
		rejected(t, err, lock.NotFound, "lock-not-found")
	}
	w.must(ids[0], &lock.CreateLock{By: owner, ID: ids[0], UUID: uuidOf(ids[0]), Index: 1})
	require.Eventually(t, func() bool { return w.metric("activations") == 1 }, 10*time.Second, 5*time.Millisecond)
	require.Never(t, func() bool { return w.metric("activations") == 0 }, 2*absentSweep, 20*time.Millisecond, "this one was created")
}

func TestSnapshotsAreTakenAndOnlyUsedWhenTheyFit(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, j journal.Journal) {
		w := start(t, j, nil)
		id := w.newLock()
		key := w.newKey(id, 0)
		w.connect(id, opens)
		const opened = minUnsaved/3 + 1 // three records each
		for i := range opened {
			_, err := w.open(id, key, request(i))
			require.NoError(t, err)
		}
		require.GreaterOrEqual(t, w.metric("snapshots_total"), 1.0)
		w.stop()

		good, saved, err := j.LoadSnapshot(t.Context(), Stream(id))
		require.NoError(t, err)
		require.True(t, saved)
		require.Equal(t, lock.StateCodec, good.Codec)
		for _, bad := range []journal.Snapshot{
			{Codec: "another", Data: good.Data},
			{Codec: lock.StateCodec, Data: []byte("{")},
			{Codec: lock.StateCodec, Data: good.Data}, // of an older version than it says
		} {
			after := start(t, j, nil)
			after.own(id)
			require.EqualValues(t, opened, after.keyOf(id, key).UsedCount)
			after.must(id, &lock.SetOwner{By: owner, UserID: lock.UserID(uuid.NewString())})
			bad.Stream, bad.Version = Stream(id), after.must(id, &lock.GetLock{By: owner}).(*lock.Info).Version
			after.stop()
			require.NoError(t, j.SaveSnapshot(t.Context(), bad))
			require.Eventually(t, func() bool {
				kept, _, err := j.LoadSnapshot(t.Context(), Stream(id))
				return err == nil && kept.Version == bad.Version
			}, 5*time.Second, time.Millisecond)

			again := start(t, j, nil)
			again.own(id)
			require.EqualValues(t, opened, again.keyOf(id, key).UsedCount)
			again.stop()
		}
	})
}

func TestAWaitingOpenGoesOnInTheNextActivation(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	session := w.connect(id, silent)
	answer := w.ask(id, opening(key, "first"))
	require.Eventually(t, func() bool { return w.metric("waiters") == 1 }, time.Second, time.Millisecond)
	node.System().Root.Stop(w.pids()[0])
	require.Eventually(t, func() bool { return w.metric("load_seconds") == 2 && w.metric("waiters") == 1 }, time.Second, time.Millisecond)
	w.Tell(id, opens(sent[*lock.SendOpen](w.doors, id)[0]))
	o := <-answer
	require.NoError(t, o.err)
	require.Equal(t, lock.Opened, o.reply.(*lock.OpenResult).Outcome)
	require.Equal(t, 1, movements(w.doors, id), "an open is never sent again")
	_ = session
}

func TestARequestThatIsSentAgainIsExecutedOnce(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	req := &Request{ID: uuid.NewString(), Command: &lock.RotateDeviceSecret{By: owner, Hash: secretHash("s"), Grace: time.Hour}}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			answer, err := node.Request(within(t, 5*time.Second), Kind, id.String(), req)
			if err != nil || answer.(*Response).Err != nil {
				t.Errorf("%+v, %v", answer, err)
			}
		})
	}
	all.Wait()
	_, total, err := w.Events(t.Context(), id, 0, 1)
	require.NoError(t, err)
	require.EqualValues(t, 2, total)
}

func TestAPanicStopsTheGrainAndNothingElse(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	var poison *lock.GetLock
	_, err := w.Do(within(t, 5*time.Second), id, poison)
	require.ErrorIs(t, err, cluster.ErrFailed)
	require.EqualValues(t, 1, w.metric("panics_total"))
	require.EqualValues(t, 0, w.keyOf(id, key).UsedCount)
	require.EqualValues(t, 2, w.metric("load_seconds"))
}

func TestAFullStashIsBusy(t *testing.T) {
	t.Parallel()
	j := &slow{Journal: inMemory(t), reads: make(chan struct{})}
	w := start(t, j, nil)
	id := lock.ID(lastLock.Add(1))
	w.own(id)
	answers := make([]<-chan outcome, maxStash)
	for i := range answers {
		answers[i] = w.ask(id, &lock.GetLock{By: owner})
	}
	require.Eventually(t, func() bool { return w.metric("stashed_requests") == maxStash }, 5*time.Second, time.Millisecond)
	_, err := w.Do(within(t, time.Second), id, &lock.GetLock{By: owner})
	rejected(t, err, lock.Busy, "lock-busy")
	close(j.reads)
	for _, a := range answers {
		rejected(t, (<-a).err, lock.NotFound, "lock-not-found")
	}
	require.Zero(t, w.metric("stashed_requests"))
}

// slow is a journal that is not read before it is told.
type slow struct {
	journal.Journal
	reads chan struct{}
}

func (s *slow) LoadSnapshot(ctx context.Context, stream string) (journal.Snapshot, bool, error) {
	select {
	case <-s.reads:
	case <-ctx.Done():
	}
	return s.Journal.LoadSnapshot(ctx, stream)
}

func TestALockThatCannotBeLoadedIsUnavailable(t *testing.T) {
	t.Parallel()
	j := inMemory(t)
	w := start(t, j, nil)
	id := lock.ID(lastLock.Add(1))
	w.own(id)
	_, err := journal.Do(within(t, time.Second), j, journal.Append{
		Stream: Stream(id), ID: "newer", Records: []journal.NewRecord{{Type: "FromTheFuture", Time: time.Now(), Data: []byte("{}")}},
	})
	require.NoError(t, err)
	for range 2 {
		_, err := w.Do(within(t, time.Second), id, &lock.GetLock{By: owner})
		rejected(t, err, lock.Busy, "unavailable")
	}
	_, _, err = w.Events(t.Context(), id, 0, 10)
	require.ErrorContains(t, err, "FromTheFuture")
}

// fragile is a journal that panics when it is read, once. It stands for a record that a version's kernel panics on.
type fragile struct {
	journal.Journal
	broken atomic.Bool
}

func (f *fragile) Read(ctx context.Context, stream string, after uint64, limit int) ([]journal.Record, error) {
	if f.broken.Swap(false) {
		panic("no such rule")
	}
	return f.Journal.Read(ctx, stream, after, limit)
}

func TestALockWhoseLoadingPanicsIsUnavailable(t *testing.T) {
	t.Parallel()
	j := &fragile{Journal: inMemory(t)}
	w := start(t, j, nil)
	id := w.newLock()
	node.System().Root.Stop(w.pids()[0])
	require.Eventually(t, func() bool { return w.metric("activations") == 0 }, 5*time.Second, time.Millisecond)
	j.broken.Store(true)
	_, err := w.Do(within(t, 10*time.Second), id, &lock.GetLock{By: owner})
	rejected(t, err, lock.Busy, "unavailable")
	w.must(id, &lock.GetLock{By: owner})
	require.EqualValues(t, 1, w.metric("panics_total"))
}

// While the journal is away each lock that is asked for fails to load, and the log does not tell of each.
func TestLocksThatCannotBeLoadedDoNotFloodTheLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := start(t, inMemory(t), func(o *Options) { o.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	const loads = 100
	for i := range loads {
		w.shell.notLoaded(Stream(lock.ID(i+1)), journal.ErrClosed)
	}
	told := func() []int {
		var loads []int
		for line := range strings.Lines(log.String()) {
			var entry struct{ Loads int }
			require.NoError(t, json.Unmarshal([]byte(line), &entry))
			loads = append(loads, entry.Loads)
		}
		return loads
	}
	require.Equal(t, []int{1}, told())
	require.Eventually(t, func() bool {
		w.shell.notLoaded(Stream(1), journal.ErrClosed)
		return len(told()) == 2
	}, 5*time.Second, 10*time.Millisecond)
	require.GreaterOrEqual(t, told()[1], loads, "the ones that were not told of")
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Options{})
	require.ErrorContains(t, err, "no journal")
	_, err = New(Options{Journal: inMemory(t), OpenWait: -1})
	require.ErrorContains(t, err, "negative")
}
