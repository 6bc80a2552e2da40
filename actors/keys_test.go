package actors

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// keeping connects a device that keeps keys and answers changes of them as it is told.
func (w *world) keeping(id lock.ID, keys func(*lock.SendKey) *lock.AnswerKey) lock.Session {
	w.t.Helper()
	w.doors.mu.Lock()
	w.doors.keys = keys
	w.doors.mu.Unlock()
	session := w.doors.add(id, opens)
	w.must(id, &lock.ConnectDevice{Device: lock.Device{Session: session, BootID: "boot", Deadline: true, Journal: true, Keys: true}})
	return session
}

func obeys(e *lock.SendKey) *lock.AnswerKey {
	return &lock.AnswerKey{Session: e.Session, CommandID: e.CommandID, Done: true}
}

func adding(card string) *lock.AddKey {
	return &lock.AddKey{By: owner, Key: lock.Key{UUID: card}, CommandID: lock.CommandID(uuid.NewString())}
}

func TestAKeyIsAddedWhenTheDeviceHasIt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, j journal.Journal) {
		w := start(t, j, nil)
		id := w.newLock()
		require.Equal(t, lock.Confirmed, w.must(id, adding("card-0")).(*lock.KeyResult).Outcome)
		w.keeping(id, obeys)
		result := w.must(id, adding("card-1")).(*lock.KeyResult)
		require.Equal(t, lock.Confirmed, result.Outcome)
		require.Equal(t, lock.OnDevice, result.Key.OnDevice)
		require.IsType(t, new(lock.KeyAdded), result.Event)
		// What was said is durable.
		records, err := j.Read(t.Context(), Stream(id), result.Version-1, 1)
		require.NoError(t, err)
		require.Equal(t, "KeyAdded", records[0].Type)
		require.EqualValues(t, 1, w.metric("key_commands_total"))
		require.Len(t, w.must(id, &lock.GetLock{By: owner}).(*lock.Info).Keys, 2)
	})
}

func TestARefusedKeyIsNotAdded(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	w.keeping(id, func(e *lock.SendKey) *lock.AnswerKey {
		return &lock.AnswerKey{Session: e.Session, CommandID: e.CommandID, Executed: lock.NotExecuted, Code: "NoSpace", Message: "full"}
	})
	result := w.must(id, adding("card-1")).(*lock.KeyResult)
	require.Equal(t, lock.Refused, result.Outcome)
	require.Equal(t, "no-space", result.Reason)
	require.Nil(t, result.Event)
	require.Empty(t, w.must(id, &lock.GetLock{By: owner}).(*lock.Info).Keys)
}

// Callers that want the same wait for the same command; one whose time is over hears that it was sent.
func TestCallersWaitForTheDeviceTogether(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	w.keeping(id, nil)
	const callers = 5
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			reply, err := w.Do(within(t, 20*time.Second), id, adding("card-1"))
			if result, ok := reply.(*lock.KeyResult); err != nil || !ok || result.Outcome != lock.Confirmed {
				t.Errorf("%+v, %v", reply, err)
			}
		})
	}
	require.Eventually(t, func() bool { return w.metric("waiters") == callers }, 10*time.Second, time.Millisecond)
	reply, err := w.Do(within(t, 2*time.Second), id, adding("card-1")) // of which a margin is left for the answer
	require.NoError(t, err)
	require.Equal(t, lock.Sent, reply.(*lock.KeyResult).Outcome)
	_, err = w.Do(within(t, 10*time.Second), id, &lock.RemoveKey{By: owner, KeyUUID: "card-1", CommandID: "c"})
	rejected(t, err, lock.Busy, "key-busy")
	told := sent[*lock.SendKey](w.doors, id)
	require.Len(t, told, 1, "the device is told once")
	w.Tell(id, obeys(told[0]))
	all.Wait()
}

// A grain that ends while somebody waits for the device leaves the wait to the next activation, which tells the device nothing again.
func TestAWaitForAKeyGoesOnInTheNextActivation(t *testing.T) {
	t.Parallel()
	w := start(t, inMemory(t), nil)
	id := w.newLock()
	session := w.keeping(id, nil)
	done := make(chan error, 1)
	go func() {
		reply, err := w.Do(within(t, 20*time.Second), id, adding("card-1"))
		if result, ok := reply.(*lock.KeyResult); err == nil && (!ok || result.Outcome != lock.Confirmed) {
			err = fmt.Errorf("%+v", reply)
		}
		done <- err
	}()
	require.Eventually(t, func() bool { return w.metric("waiters") == 1 }, 10*time.Second, time.Millisecond)
	for _, pid := range w.pids() {
		node.System().Root.Stop(pid)
	}
	require.Eventually(t, func() bool { return w.metric("waiters") == 1 && w.metric("loads_total")+w.metric("load_seconds") >= 2 }, 10*time.Second, time.Millisecond)
	w.must(id, &lock.KeepDevice{Device: lock.Device{Session: session, BootID: "boot", Deadline: true, Journal: true, Keys: true}})
	told := sent[*lock.SendKey](w.doors, id)
	require.Len(t, told, 1)
	w.Tell(id, obeys(told[0]))
	require.NoError(t, <-done)
}

// A job goes on by itself in a new process that nobody calls: the journal's index says that there is one.
func TestAJobGoesOnWithoutACall(t *testing.T) {
	t.Parallel()
	j := inMemory(t)
	first := start(t, j, nil)
	id := first.newLock()
	first.keeping(id, obeys)
	first.must(id, adding("card-0")) // from here on the device has to be told
	first.doors.mu.Lock()
	first.doors.keys = nil
	first.doors.mu.Unlock()
	keys := make([]lock.Key, 20)
	for i := range keys {
		keys[i].UUID = fmt.Sprintf("card-%d", 1+i)
	}
	job := lock.JobID(uuid.NewString())
	first.must(id, &lock.BulkAddKeys{By: owner, Job: job, Keys: keys})
	require.Eventually(t, func() bool { return len(sent[*lock.SendKey](first.doors, id)) == 2 }, 10*time.Second, time.Millisecond)
	// The lock gets another device, so that its list is a record again, and what the job waits for is gone with the old one.
	told := sent[*lock.SendKey](first.doors, id)[1]
	first.Tell(id, &lock.AnswerKey{Session: told.Session, CommandID: told.CommandID, Executed: lock.NotExecuted, Code: "StaleSession"})
	require.Eventually(t, func() bool {
		_, err := first.Do(within(t, 10*time.Second), id, &lock.DisconnectDevice{Session: told.Session})
		if err == nil {
			_, err = first.Do(within(t, 10*time.Second), id, &lock.ChangeLockUUID{By: lock.Caller{Super: true}, NewUUID: lock.UUID(uuid.NewString())})
		}
		var busy *lock.Error
		return err == nil || !errors.As(err, &busy)
	}, 15*time.Second, 10*time.Millisecond)
	first.stop()

	second := start(t, j, nil, id)
	require.Eventually(t, func() bool { return second.metric("activations") > 0 }, 30*time.Second, time.Millisecond, "nobody has called the lock")
	require.Eventually(t, func() bool {
		p := second.must(id, &lock.GetBulkAddKeys{By: owner, Job: job}).(*lock.BulkProgress)
		return p.Ended
	}, 20*time.Second, 10*time.Millisecond)
	require.Len(t, second.must(id, &lock.GetLock{By: owner}).(*lock.Info).Keys, 1+len(keys))
	entries, err := j.Entries(t.Context(), runningJobs, jobsKey, "", 10)
	require.NoError(t, err)
	require.Empty(t, entries)
}
