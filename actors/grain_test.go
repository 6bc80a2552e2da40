package actors

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// onEach runs a test on each engine.
func onEach(t *testing.T, f func(t *testing.T, j journal.Journal)) {
	t.Run("memory", func(t *testing.T) { t.Parallel(); f(t, inMemory(t)) })
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); f(t, onDisk(t)) })
}

func TestAKeyOpensTheDoor(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, j journal.Journal) {
		w := start(t, j, nil)
		id := w.newLock()
		key := w.newKey(id, 2)
		w.connect(id, opens)

		result, err := w.open(id, key, "first")
		require.NoError(t, err)
		require.Equal(t, lock.Opened, result.Outcome)
		require.True(t, result.DeadlineEnforced)
		require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)
		require.Equal(t, 1, movements(w.doors, id))

		records, total, err := w.Events(t.Context(), id, 0, 100)
		require.NoError(t, err)
		require.EqualValues(t, len(records), total)
		var types []string
		for i, r := range records {
			require.EqualValues(t, i+1, r.Version)
			types = append(types, r.Event.EventType())
		}
		require.Equal(t, []string{"LockCreated", "TempKeyCreated", "TempKeyUsed", "LockOpenRequested", "LockOpened"}, types)
		require.EqualValues(t, 1, w.metric("opens_total"))
		require.EqualValues(t, 1, w.metric("decision_to_ack_seconds"))
	})
}

func TestARefusedOpenReturnsTheUse(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	w.connect(id, jams)
	result, err := w.open(id, key, "first")
	require.NoError(t, err)
	require.Equal(t, lock.Refused, result.Outcome)
	require.Equal(t, "jammed", result.Reason)
	require.True(t, result.UseReturned)
	require.EqualValues(t, 0, w.keyOf(id, key).UsedCount)
}

func TestNeverMoreThanMaxUses(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, j journal.Journal) {
		w := start(t, j, nil)
		id := w.newLock()
		key := w.newKey(id, 5)
		w.connect(id, opens)
		var opened, usedUp atomic.Int64
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				result, err := w.open(id, key, request(i))
				var rejection *lock.Error
				switch {
				case err == nil && result.Outcome == lock.Opened:
					opened.Add(1)
				case errors.As(err, &rejection) && rejection.Reason == "temp-key-used-up":
					usedUp.Add(1)
				default:
					t.Errorf("request %d: %+v, %v", i, result, err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 5, opened.Load())
		require.EqualValues(t, 195, usedUp.Load())
		require.LessOrEqual(t, movements(w.doors, id), 5)
		require.EqualValues(t, 5, w.keyOf(id, key).UsedCount)
	})
}

func TestTheSameRequestCountsOnce(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	key := w.newKey(id, 0)
	w.connect(id, opens)
	results := make([]*lock.OpenResult, 100)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() {
			result, err := w.open(id, key, "the-same")
			if err != nil {
				t.Error(err)
				return
			}
			results[i] = result
		})
	}
	all.Wait()
	first := 0
	for _, result := range results {
		if !result.Replayed {
			first++
		}
		result.Replayed = false
		require.Equal(t, results[0], result)
	}
	require.Equal(t, 1, first, "all the others are told that it was there")
	require.Equal(t, lock.Opened, results[0].Outcome)
	require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)
	require.Equal(t, 1, movements(w.doors, id))
}

func TestAHeldOpenIsAnsweredAtOnceAndExpires(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	c := opening(key, "first")
	c.Hold = 300 * time.Millisecond
	began := time.Now()
	result := w.must(id, c).(*lock.OpenResult)
	require.Equal(t, lock.Reserved, result.Outcome)
	require.True(t, result.Offline)
	require.Less(t, time.Since(began), 250*time.Millisecond)
	require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)

	var info *lock.TempKeyInfo
	require.Eventually(t, func() bool {
		info = w.must(id, &lock.GetTempKey{TempKeyID: key, RequestID: "first"}).(*lock.TempKeyInfo)
		return info.Open.Outcome == lock.Expired
	}, 5*time.Second, 10*time.Millisecond)
	require.True(t, info.Open.UseReturned)
	require.EqualValues(t, 0, info.Key.UsedCount)
	w.connect(id, opens)
	require.Zero(t, movements(w.doors, id))
}

func TestADeviceThatComesBackOpensOnce(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	result, err := w.open(id, key, "first")
	require.NoError(t, err)
	require.True(t, result.Offline)
	w.connect(id, opens)
	again, err := w.open(id, key, "first")
	require.NoError(t, err)
	require.Equal(t, lock.Opened, again.Outcome)
	require.Equal(t, 1, movements(w.doors, id))
}

func TestASilentDeviceIsWaitedForNoLongerThanAllowed(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), func(o *Options) { o.OpenWait = 200 * time.Millisecond })
	id := w.newLock()
	key := w.newKey(id, 0)
	w.connect(id, silent)
	began := time.Now()
	result, err := w.open(id, key, "first")
	require.NoError(t, err)
	require.Equal(t, lock.Sent, result.Outcome)
	require.GreaterOrEqual(t, time.Since(began), 200*time.Millisecond)

	require.Eventually(t, func() bool { return w.metric("waiters") == 0 }, 5*time.Second, time.Millisecond)
}

// A caller with less time than the grain would wait gets its answer before it goes.
func TestACallerInAHurryIsAnsweredBeforeItGoes(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), func(o *Options) { o.OpenWait = time.Minute })
	id, _, c := w.unanswered(0, lock.MaxLifetime)
	ctx := within(t, 5*time.Second)
	reply, err := w.Do(ctx, id, c)
	require.NoError(t, err)
	require.NoError(t, ctx.Err())
	require.Equal(t, lock.Sent, reply.(*lock.OpenResult).Outcome)
}

func TestAnUnansweredOpenBecomesUnknownAndStaysSpent(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id, key, c := w.unanswered(1, 100*time.Millisecond)
	result := w.must(id, c).(*lock.OpenResult)
	require.Equal(t, lock.Unknown, result.Outcome)
	require.False(t, result.UseReturned)
	require.EqualValues(t, 1, w.keyOf(id, key).UsedCount)
	require.Len(t, sent[*lock.CloseSession](w.doors, id), 1)
}

func TestARevocationIsAcknowledgedWhenItIsSafe(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), func(o *Options) { o.OpenWait = 50 * time.Millisecond })
	id, key, c := w.unanswered(0, 500*time.Millisecond)
	began := time.Now()
	require.Equal(t, lock.Sent, w.must(id, c).(*lock.OpenResult).Outcome)
	w.must(id, &lock.DeleteTempKey{By: owner, TempKeyID: key})
	require.Greater(t, time.Since(began), 500*time.Millisecond)
	require.EqualValues(t, 1, w.metric("replies_delayed_total"))

	// As soon as the device has answered there is nothing to wait for.
	other := w.newKey(id, 0)
	c = opening(other, "second")
	w.must(id, c)
	opened := sent[*lock.SendOpen](w.doors, id)
	deleted := make(chan error, 1)
	go func() {
		_, err := w.Do(within(t, 10*time.Second), id, &lock.DeleteTempKey{By: owner, TempKeyID: other})
		deleted <- err
	}()
	require.Eventually(t, func() bool { return w.metric("waiters") == 1 }, time.Second, time.Millisecond)
	began = time.Now()
	w.Tell(id, opens(opened[len(opened)-1]))
	require.NoError(t, <-deleted)
	require.Less(t, time.Since(began), time.Second)
}

func TestUUIDsAreTakenOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, j journal.Journal) {
		w := start(t, j, nil)
		a, b := w.newLock(), w.newLock()
		key := w.newKey(a, 0)
		w.connect(b, opens)
		other := w.newKey(b, 0)

		var all sync.WaitGroup
		for i := range 20 { // opens go on while the claim fails
			all.Go(func() {
				result, err := w.open(b, other, request(i))
				if err != nil || result.Outcome != lock.Opened {
					t.Errorf("open %d: %+v, %v", i, result, err)
				}
			})
		}
		_, err := w.Do(within(t, 10*time.Second), b, &lock.CreateTempKey{
			By: owner, UUID: key, AccessMode: lock.Public, ValidFrom: time.Now(), ValidUntil: time.Now().Add(time.Hour),
		})
		rejected(t, err, lock.Conflict, "temp-key-uuid-taken")
		all.Wait()
		require.EqualValues(t, 20, w.keyOf(b, other).UsedCount)
		require.True(t, w.must(b, &lock.GetLock{By: owner}).(*lock.Info).Online)

		id := lock.ID(lastLock.Add(1))
		w.own(id)
		_, err = w.Do(within(t, 10*time.Second), id, &lock.CreateLock{By: owner, ID: id, UUID: uuidOf(a), Index: 1})
		rejected(t, err, lock.Conflict, "device-uuid-taken")
		_, err = w.Do(within(t, 10*time.Second), id, &lock.GetLock{By: owner})
		rejected(t, err, lock.NotFound, "lock-not-found")
	})
}

// A create-temp-key that comes late, or twice, does not bring a key back that was deleted meanwhile.
func TestADeletedKeyStaysDeleted(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, j journal.Journal) {
		w := start(t, j, nil)
		id := w.newLock()
		w.connect(id, opens)
		create := func() lock.CreateTempKey {
			return lock.CreateTempKey{
				By: owner, UUID: lock.TempKeyID(uuid.NewString()), AccessMode: lock.Public, ValidFrom: time.Now(), ValidUntil: time.Now().Add(time.Hour),
			}
		}
		gone, there, fresh := create(), create(), create()
		w.must(id, &gone)
		w.must(id, &there)
		require.Nil(t, w.must(id, &there).(*lock.Done).Event, "again")
		w.must(id, &lock.DeleteTempKey{By: owner, TempKeyID: gone.UUID})

		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				_, err := w.Do(within(t, 10*time.Second), id, &gone)
				rejected(t, err, lock.Conflict, "temp-key-uuid-taken")
			})
			all.Go(func() {
				_, err := w.Do(within(t, 10*time.Second), id, &lock.CreateTempKeys{By: owner, Keys: []lock.CreateTempKey{fresh, gone, there}})
				rejected(t, err, lock.Conflict, "temp-key-uuid-taken")
			})
		}
		all.Wait()
		items := w.must(id, &lock.CreateTempKeys{By: owner, Keys: []lock.CreateTempKey{there, fresh}}).(*lock.TempKeysDone).Items
		require.Nil(t, items[0].Event)
		require.NotNil(t, items[1].Event)
		there.Description = "other terms"
		_, err := w.Do(within(t, 10*time.Second), id, &there)
		rejected(t, err, lock.Conflict, "temp-key-exists")
		_, err = w.open(id, gone.UUID, "late")
		rejected(t, err, lock.NotFound, "temp-key-not-found")
		require.Len(t, w.must(id, &lock.ListTempKeys{By: owner}).(*lock.TempKeyList).TempKeys, 2)
		require.True(t, w.must(id, &lock.GetLock{By: owner}).(*lock.Info).Online)
	})
}

func TestLocksAreFound(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	missing := uuid.NewString()
	_, err := w.FindTempKey(t.Context(), lock.TempKeyID(missing))
	rejected(t, err, lock.NotFound, "temp-key-not-found")
	_, err = w.FindDevice(t.Context(), lock.UUID(missing))
	rejected(t, err, lock.NotFound, "device-not-found")
	for range 2 {
		found, err := w.FindDevice(t.Context(), uuidOf(id))
		require.NoError(t, err)
		require.Equal(t, id, found)
		found, err = w.FindTempKey(t.Context(), w.newKey(id, 0))
		require.NoError(t, err)
		require.Equal(t, id, found)
	}
	creator := w.newKey(id, 0)
	entries, err := w.journal.Entries(t.Context(), "temp-key-by-creator", string(org), "", 100)
	require.NoError(t, err)
	require.Len(t, entries, 3)
	w.must(id, &lock.DeleteTempKey{By: owner, TempKeyID: creator})
	entries, err = w.journal.Entries(t.Context(), "temp-key-by-creator", string(org), "", 100)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}

func TestADeviceShowsItsSecret(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	w.must(id, &lock.RotateDeviceSecret{By: owner, Hash: secretHash("s1")})
	w.must(id, &lock.AuthenticateDevice{UUID: uuidOf(id), Hash: secretHash("s1")})
	_, err := w.Do(within(t, time.Second), id, &lock.AuthenticateDevice{UUID: uuidOf(id), Hash: secretHash("s2")})
	rejected(t, err, lock.Unauthentic, "device-credentials-invalid")
}
