package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/client"
	"github.com/latchkey/latchkey/lock"
)

// bulkShare is how much of the time of single calls the one call for as many keys may take, by the number of locks. Where each key
// is of another lock, each is a request and an append of its own, and only the commits are shared: what is left is the processors'
// time. One caller's calls have work for one processor at a time, the one call has it for two, if they have nothing else to do.
var bulkShare = map[int]float64{500: 1.0 / 12, 50: 1.0 / 20, 1: 1.0 / 20}

// bulkShareBusy is the same where there are not two such processors.
const bulkShareBusy = 1.0 / 8

// TestManyKeysInOneCallAreCheap creates 500 keys over many locks in one call, and others with 500 calls of one caller, by turns.
// A machine that has something else to do makes both slower, never faster, so the best of some rounds is compared. The calls are
// timed in stretches that are about as long as the one call: a machine is quiet for as long as that just as often.
func TestManyKeysInOneCallAreCheap(t *testing.T) {
	const (
		keys, stretch         = 500, 25
		minRounds, mostRounds = 3, 9 // a lock has room for the keys of nine
	)
	s := newMeasuredServer(t)
	for _, locks := range []int{500, 50, 1} {
		t.Run(fmt.Sprintf("locks=%d", locks), func(t *testing.T) {
			post := func(path string, body any) *answer {
				a, err := s.call(t.Context(), http.MethodPost, path, body)
				require.NoError(t, err)
				require.Less(t, a.status, 300, a.body)
				return a
			}
			lockOf := func(i int) int { return locks*1000 + i%locks }
			key := client.CreateTempKeyRequest{AccessMode: "public", ValidFrom: time.Now(), ValidUntil: time.Now().Add(time.Hour)}
			items := make([]client.CreateTempKeysItem, keys)
			for i := range items {
				items[i] = client.CreateTempKeysItem{LockId: client.LockIdNumber(lockOf(i)), TempKey: key}
			}
			all, err := json.Marshal(client.CreateTempKeysRequest{Items: items})
			require.NoError(t, err)
			for i := range locks {
				post(fmt.Sprintf("/locks/%d/CreateLock", lockOf(i)), map[string]any{"index": 1, "uuid": fmt.Sprintf("00000000-0000-4000-9000-%012d", lockOf(i))})
			}
			var stretches [keys / stretch]time.Duration
			var sum time.Duration
			one, free := time.Hour, newProcessors()
			for round := 1; round <= mostRounds && (round <= minRounds || one.Seconds() > sum.Seconds()*bulkShare[locks]); round++ {
				sum = 0
				for n, best := range stretches {
					started := time.Now()
					for i := n * stretch; i < (n+1)*stretch; i++ {
						post(fmt.Sprintf("/locks/%d/create-temp-key", lockOf(i)), key)
					}
					if took := time.Since(started); round == 1 || took < best {
						stretches[n] = took
					}
					sum += stretches[n]
				}
				started := time.Now()
				a := post("/bulk/create-temp-keys", json.RawMessage(all))
				one = min(one, time.Since(started))
				free.look()
				var result struct {
					Success   bool
					Succeeded int
				}
				require.NoError(t, json.NewDecoder(strings.NewReader(a.body)).Decode(&result))
				require.True(t, result.Success, a.body)
				require.Equal(t, keys, result.Succeeded)
			}
			share := bulkShare[locks]
			if free.count() < 1.8 {
				share = bulkShareBusy
			}
			t.Logf("%d keys over %d locks: %s in one call, %s in %d calls, 1/%.0f, with %.1f processors", keys, locks, one.Round(time.Millisecond),
				sum.Round(time.Millisecond), keys, sum.Seconds()/one.Seconds(), free.count())
			require.Less(t, one.Seconds(), sum.Seconds()*share)
		})
	}
}

// processors finds out whether two processors have nothing else to do, by the best of some tries as well.
type processors struct{ alone, both time.Duration }

func newProcessors() *processors { return &processors{time.Hour, time.Hour} }

// look lets one goroutine do some work, and then two of them as much each.
func (p *processors) look() {
	p.alone, p.both = min(p.alone, spin(1)), min(p.both, spin(2))
}

// count is 2 when two goroutines get twice as much done as one.
func (p *processors) count() float64 { return 2 * p.alone.Seconds() / p.both.Seconds() }

// spin takes as long as the one call: some 10 ms.
func spin(goroutines int) time.Duration {
	started := time.Now()
	var work sync.WaitGroup
	for range goroutines {
		work.Go(func() {
			n := uint64(started.UnixNano())
			for range 10_000_000 {
				n = n*6364136223846793005 + 1442695040888963407
			}
			runtime.KeepAlive(n)
		})
	}
	work.Wait()
	return time.Since(started)
}

// TestManyDeadKeysInOneCall: hundreds of keys that cannot be made are refused together. Each refusal by the journal has the lock
// begin anew, which takes it 20 ms when it has thousands of keys.
func TestManyDeadKeysInOneCall(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	creds := s.provision(t, 2)
	term := func(uuid lock.TempKeyID) map[string]any {
		return map[string]any{
			"accessMode": "public", "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2099-01-01T00:00:00Z", "tempKeyUuid": uuid,
		}
	}
	type made struct {
		Items []struct {
			Status int
			Reason string
		}
	}
	create := func(lockID int64, keys []lock.TempKeyID, header ...string) (m made) {
		items := make([]any, len(keys))
		for i, key := range keys {
			items[i] = map[string]any{"lockId": lockID, "tempKey": term(key)}
		}
		a := s.must(t, http.StatusOK, http.MethodPost, "/bulk/create-temp-keys", map[string]any{"items": items}, header...)
		require.NoError(t, json.Unmarshal([]byte(a.body), &m))
		require.Len(t, m.Items, len(keys))
		return m
	}
	some := func(n int) []lock.TempKeyID {
		keys := make([]lock.TempKeyID, n)
		for i := range keys {
			keys[i] = lock.TempKeyID(uuid.NewString())
		}
		return keys
	}
	const each = 100
	mine, here := creds[0].LockID, lock.ID(creds[0].LockID)
	dead, foreign, alive, fresh := some(each), some(each), some(each), some(each)
	create(mine, dead)
	create(creds[1].LockID, foreign)
	create(mine, alive)
	for _, key := range dead {
		a, err := s.deleteKey(t.Context(), guestKey{here, key})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.status, a.body)
	}
	var all []lock.TempKeyID
	for i := range each {
		all = append(all, dead[i], foreign[i], alive[i], fresh[i])
	}
	for _, header := range [][]string{nil, {"Idempotency-Key", "all-of-them"}, {"Idempotency-Key", "all-of-them"}} {
		before := s.figure(t, "latchkey_actors_reloads_total")
		for i, item := range create(mine, all, header...).Items {
			if i%4 < 2 {
				require.Equal(t, http.StatusConflict, item.Status, i)
				require.Equal(t, lock.ReasonTempKeyTaken, item.Reason, i)
			} else {
				require.Equal(t, http.StatusOK, item.Status, i)
			}
		}
		if header == nil {
			require.LessOrEqual(t, s.figure(t, "latchkey_actors_reloads_total")-before, 2.0)
		}
	}
}
