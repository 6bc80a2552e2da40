package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

// Bar: a revocation that was acknowledged while opens with the key are in flight, to slow devices, over slow networks, and
// held for devices that come and go: no motor moves for the key afterwards.
func TestNothingOpensAfterARevocation(t *testing.T) {
	t.Parallel()
	const locks, rounds, guests = 16, 12, 4
	s := newServer(t)
	creds := s.provision(t, locks)
	devices := make([]*sim.Device, locks)
	for i, c := range creds {
		devices[i] = s.device(t, c, travels(time.Duration(i%4)*60*time.Millisecond))
		faults := sim.Faults{LatencyMax: time.Duration(i%3) * 60 * time.Millisecond}
		if i%2 == 1 {
			faults.DropEvery = 500 * time.Millisecond // so that opens are held, and let go again
		}
		require.NoError(t, devices[i].SetFaults(faults))
		connect(t, devices[i])
	}

	var accepted, refused, waited atomic.Int64
	round := func(ctx context.Context, id int64) error {
		key, answer, err := s.createKey(ctx, id, 0)
		if err != nil || answer.status != http.StatusOK {
			return fmt.Errorf("create a key: %v, %w", answer, err)
		}
		var opens errgroup.Group
		for g := range guests {
			opens.Go(func() error {
				pause(ctx, rand.N(150*time.Millisecond))
				a, err := s.open(ctx, true, key, fmt.Sprintf("%s-%d", key.uuid, g))
				if err != nil {
					return err
				}
				switch a.status {
				case http.StatusSeeOther:
					accepted.Add(1)
				case http.StatusNotFound:
					refused.Add(1)
				default:
					return fmt.Errorf("an open was answered %d: %s", a.status, a.body)
				}
				return nil
			})
		}
		pause(ctx, rand.N(200*time.Millisecond))
		start := time.Now()
		if answer, err = s.deleteKey(ctx, key); err != nil || answer.status != http.StatusOK {
			return fmt.Errorf("delete the key: %v, %w", answer, err)
		}
		if time.Since(start) > 50*time.Millisecond {
			waited.Add(1)
		}
		return opens.Wait()
	}
	group, ctx := errgroup.WithContext(t.Context())
	for _, c := range creds {
		group.Go(func() error {
			for range rounds {
				if err := round(ctx, c.LockID); err != nil {
					return fmt.Errorf("lock %d: %w", c.LockID, err)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Positive(t, waited.Load(), "no revocation met an open on its way: the test has shown nothing")
	require.Positive(t, refused.Load())
	records := s.conclude(t)
	withdrawn := count(records, "TempKeyDeleted")
	require.Equal(t, locks*rounds, withdrawn)
	t.Logf("%d revocations, of which %d took more than 50 ms; %d opens accepted, %d refused; %d movements, none after the acknowledgement",
		withdrawn, waited.Load(), accepted.Load(), refused.Load(), len(s.motors.Movements()))
}

// A key that was deleted is not brought back by its create-temp-key, which comes late, twice at once with the deletion, in bulk, or
// after a crash: its link stays dead.
func TestADeletedKeyStaysDeleted(t *testing.T) {
	t.Parallel()
	const rounds = 20
	s := newServer(t)
	creds := s.provision(t, 1)
	d := s.device(t, creds[0])
	connect(t, d)
	terms := map[string]any{"accessMode": "public", "validFrom": time.Now().UTC(), "validUntil": time.Now().UTC().Add(time.Hour), "maxUses": 1}
	create := func(key guestKey) (*answer, error) {
		terms := maps.Clone(terms)
		terms["tempKeyUuid"] = key.uuid
		return s.act(t.Context(), false, act{kind: createKey, lock: key.lock, key: key.uuid, limit: 1}, http.MethodPost, "/locks/1/create-temp-key", terms)
	}
	var keys []guestKey
	for range rounds {
		key := guestKey{lock.ID(creds[0].LockID), lock.TempKeyID(uuid.NewString())}
		keys = append(keys, key)
		a, err := create(key)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Contains(t, s.mustOpen(t, key, string(key.uuid)), "/confirmation")
		var both errgroup.Group
		for range 4 {
			both.Go(func() error {
				a, err := create(key)
				if err == nil && a.status == http.StatusOK && !strings.Contains(a.body, `"event":null`) {
					err = fmt.Errorf("created again: %s", a.body)
				}
				return err
			})
		}
		both.Go(func() error {
			a, err := s.deleteKey(t.Context(), key)
			if err == nil && a.status != http.StatusOK {
				err = fmt.Errorf("not deleted: %d %s", a.status, a.body)
			}
			return err
		})
		require.NoError(t, both.Wait())
	}
	stay := func() {
		for _, key := range keys {
			a, err := create(key)
			require.NoError(t, err)
			require.Equal(t, http.StatusConflict, a.status, a.body)
			require.Contains(t, a.body, "temp-key-uuid-taken")
			a, err = s.open(t.Context(), false, key, "late")
			require.NoError(t, err)
			require.Equal(t, http.StatusNotFound, a.status, a.body)
		}
		items := []any{}
		for i := range 3 {
			one := maps.Clone(terms)
			one["tempKeyUuid"] = keys[0].uuid
			if i != 1 {
				delete(one, "tempKeyUuid")
			}
			items = append(items, map[string]any{"lockId": 1, "tempKey": one})
		}
		var made struct{ Items []struct{ Status int } }
		require.NoError(t, json.Unmarshal([]byte(s.must(t, 200, http.MethodPost, "/bulk/create-temp-keys", map[string]any{"items": items}).body), &made))
		require.Equal(t, []struct{ Status int }{{200}, {409}, {200}}, made.Items)
	}
	stay()
	s.restart(t)
	stay()
	require.Len(t, d.Movements(), rounds)
	records := s.conclude(t)
	require.Equal(t, rounds+4, count(records, "TempKeyCreated"))
	require.Equal(t, rounds, count(records, "TempKeyDeleted"))
}

// The device cannot be reached when the key is revoked: the acknowledgement waits until the open is dead.
func TestRevocationWaitsForAFrozenNetwork(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	creds := s.provision(t, 1)
	proxy := s.newProxy(t)
	proxy.DeliverAfterReset(true)
	d := s.device(t, creds[0], behind(proxy))
	connect(t, d)
	key := s.newKey(t, creds[0].LockID, 0)

	proxy.Freeze(sim.Both)
	done := make(chan error, 1)
	go func() {
		_, err := s.open(t.Context(), false, key, "r")
		done <- err
	}()
	s.becomes(t, key, "r", lock.Sent)
	start := time.Now()
	answer, err := s.deleteKey(t.Context(), key)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.status, answer.body)
	took := time.Since(start)
	require.Greater(t, took, 3*time.Second, "the open may still have arrived")
	require.Less(t, took, 9*time.Second)
	proxy.Thaw(sim.Both) // what was frozen arrives right after the acknowledgement

	require.NoError(t, <-done)
	next := s.newKey(t, creds[0].LockID, 0)
	require.Eventually(t, func() bool { // the frozen frames and the reset come first
		a, err := s.open(t.Context(), false, next, fmt.Sprint(time.Now().UnixNano()))
		return err == nil && a.status == http.StatusSeeOther && len(d.Movements()) == 1
	}, patience, pollEvery)
	s.conclude(t)
	t.Logf("acknowledged after %s; 0 movements for the key", took.Round(time.Millisecond))
}
