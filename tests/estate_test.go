package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

const (
	liveKeys      = 3            // of a lock at a time
	mostKeys      = modelledKeys // of a lock during the test
	guestPatience = 0.8          // the share of guests who repeat a request that got no answer
)

// estate is what platforms and guests do to the locks of a fleet: whatever they like, at random, at the same time.
type estate struct {
	s      *server
	locks  int64 // of the fleet, numbered from 1
	failed atomic.Pointer[error]

	mu   sync.Mutex
	keys map[int64][]guestKey // that were created and not yet deleted, by lock
}

func (e *estate) fail(err error) { e.failed.CompareAndSwap(nil, &err) }

func (e *estate) someKey(random *rand.Rand) (guestKey, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	keys := e.keys[1+random.Int64N(e.locks)]
	if len(keys) == 0 {
		return guestKey{}, false
	}
	return keys[random.IntN(len(keys))], true
}

// guest opens doors with keys until the day is over.
func (e *estate) guest(day, night context.Context, random *rand.Rand, number int) {
	for i := 0; pause(day, time.Duration(random.IntN(150))*time.Millisecond); i++ {
		key, ok := e.someKey(random)
		if !ok {
			continue
		}
		request := fmt.Sprintf("guest-%d-%d", number, i)
		a, err := e.s.open(night, random.Float64() < guestPatience, key, request)
		if err != nil {
			continue // gave up, and will never know
		}
		switch a.status {
		case http.StatusSeeOther:
			if _, err := e.s.outcome(night, key, request); err != nil {
				e.fail(err)
			}
		case http.StatusForbidden, http.StatusNotFound, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		default:
			e.fail(fmt.Errorf("an open was answered %d: %s", a.status, a.body))
		}
	}
}

// manager looks after one lock: it makes and changes and deletes keys, lists them, and opens by itself.
func (e *estate) manager(day, night context.Context, random *rand.Rand, id int64) {
	var mine []guestKey
	made := 0
	for i := 0; pause(day, time.Duration(50+random.IntN(250))*time.Millisecond); i++ {
		var a *answer
		var err error
		switch n := random.IntN(10); {
		case len(mine) == 0 || n < 3 && len(mine) < liveKeys && made < mostKeys:
			var key guestKey
			if key, a, err = e.s.createKey(night, id, random.Int64N(6)); err == nil {
				mine, made = append(mine, key), made+1
			}
		case n < 4 && made < mostKeys:
			i := random.IntN(len(mine))
			key := mine[i]
			mine = append(mine[:i:i], mine[i+1:]...)
			a, err = e.s.deleteKey(night, key)
			if err == nil && a.status == http.StatusNotFound && a.attempts > 1 {
				a.status = http.StatusOK // an earlier attempt has deleted it
			}
		case n < 6:
			key := mine[random.IntN(len(mine))]
			limit := 1 + random.Int64N(8)
			a, err = e.s.act(night, true, act{kind: limitKey, lock: lock.ID(id), key: key.uuid, limit: limit}, http.MethodPost,
				fmt.Sprintf("/locks/%d/update-temp-key", id), map[string]any{"tempKeyUuid": key.uuid, "maxUses": limit})
		case n < 8:
			a, err = e.s.list(night, id)
		default:
			request := fmt.Sprintf("manager-%d-%d", id, i)
			a, err = e.s.act(night, true, act{kind: openLock, lock: lock.ID(id), request: lock.RequestID(request)}, http.MethodPost,
				fmt.Sprintf("/locks/%d/OpenLock", id), map[string]any{"requestId": request})
			if err == nil && a.status == http.StatusBadGateway {
				a.status = http.StatusOK // the device is away, or says no
			}
		}
		e.mu.Lock()
		e.keys[id] = append([]guestKey(nil), mine...)
		e.mu.Unlock()
		if err != nil || a.status != http.StatusOK {
			e.fail(fmt.Errorf("the manager of lock %d, by %s: %v, %w", id, time.Now().Format(clockFormat), a, err))
		}
	}
}

// settle waits until nothing is on its way to any lock, as far as keys that were not deleted can tell, and every device that is
// back has told what it knows.
func (e *estate) settle(t *testing.T) {
	t.Helper()
	waiting := make(map[lock.RequestID]guestKey)
	for _, a := range e.s.ledger.all() {
		if a.kind == openByKey && a.accepted() {
			waiting[a.request] = guestKey{a.lock, a.key}
		}
	}
	require.Eventually(t, func() bool {
		for request, key := range waiting {
			outcome, err := e.s.outcome(t.Context(), key, string(request))
			if err != nil || outcome == lock.Sent || outcome == lock.Reserved {
				return false
			}
			delete(waiting, request)
		}
		return true
	}, patience, pollEvery, "requests on their way")
	require.Eventually(t, func() bool {
		for id := range e.locks {
			if e.s.unresolved(t, id+1) {
				return false
			}
		}
		return true
	}, patience, pollEvery, "an open stays unresolved")
}

// unresolved tells whether the device of a lock has yet to say what became of an open.
func (s *server) unresolved(t *testing.T, id int64) bool {
	last := make(map[any]any)
	for _, e := range s.events(t, id) {
		if command := e.Event["commandId"]; command != nil {
			last[command] = e.Event["reason"]
		}
	}
	for _, reason := range last {
		if reason == "no-answer" {
			return true
		}
	}
	return false
}
