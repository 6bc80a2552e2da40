package tests

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// act carries out what an act says, notes in the ledger what was told, and returns the answer. When patient it
// makes the same call again until there is an answer; otherwise an error means that nobody knows what happened.
func (s *server) act(ctx context.Context, patient bool, a act, method, path string, body any, header ...string) (*answer, error) {
	call := s.call
	if patient {
		call = s.patiently
	}
	a.called = time.Now()
	answer, err := call(ctx, method, path, body, header...)
	a.tell(answer, err)
	s.ledger.add(a)
	return answer, err
}

// guestKey is a key with its lock.
type guestKey struct {
	lock lock.ID
	uuid lock.TempKeyID
}

func (k guestKey) page() string { return "/temp-keys/" + string(k.uuid) }

func (k guestKey) confirmation(request string) string {
	return k.page() + "/confirmation?offline=false&request=" + url.QueryEscape(request)
}

// createKey creates a public key of a lock, valid for a day, whoever's clock is wrong; with maxUses 0 there is no limit.
func (s *server) createKey(ctx context.Context, id, maxUses int64) (guestKey, *answer, error) {
	key := guestKey{lock.ID(id), lock.TempKeyID(uuid.NewString())}
	now := time.Now().UTC()
	terms := map[string]any{"tempKeyUuid": key.uuid, "accessMode": "public", "validFrom": now.Add(-time.Hour), "validUntil": now.Add(24 * time.Hour)}
	if maxUses > 0 {
		terms["maxUses"] = maxUses
	}
	answer, err := s.act(ctx, true, act{kind: createKey, lock: key.lock, key: key.uuid, limit: maxUses},
		http.MethodPost, fmt.Sprintf("/locks/%d/create-temp-key", id), terms)
	return key, answer, err
}

func (s *server) newKey(t *testing.T, id, maxUses int64) guestKey {
	t.Helper()
	key, answer, err := s.createKey(t.Context(), id, maxUses)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.status, answer.body)
	return key
}

// deleteKey revokes a key.
func (s *server) deleteKey(ctx context.Context, key guestKey) (*answer, error) {
	return s.act(ctx, true, act{kind: deleteKey, lock: key.lock, key: key.uuid},
		http.MethodPost, fmt.Sprintf("/locks/%d/delete-temp-key", key.lock), map[string]any{"tempKeyUuid": key.uuid})
}

// list lists the keys of a lock.
func (s *server) list(ctx context.Context, id int64) (*answer, error) {
	return s.act(ctx, true, act{kind: listKeys, lock: lock.ID(id)}, http.MethodGet, fmt.Sprintf("/locks/%d/temp-keys", id), nil)
}

// listed reads one key in the list of its lock's keys.
func (s *server) listed(t *testing.T, key guestKey) listedKey {
	t.Helper()
	answer, err := s.list(t.Context(), int64(key.lock))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.status, answer.body)
	for _, k := range answer.said().TempKeys {
		if k.UUID == string(key.uuid) {
			return k
		}
	}
	require.Fail(t, "the key is not in the list", key)
	return listedKey{}
}

// open presses the button of a key's page, with a request ID of its own: once, or patiently until there is an answer.
func (s *server) open(ctx context.Context, patient bool, key guestKey, request string) (*answer, error) {
	return s.act(ctx, patient, act{kind: openByKey, lock: key.lock, key: key.uuid, request: lock.RequestID(request)},
		http.MethodPost, key.page()+"/open", nil, "Idempotency-Key", request)
}

// mustOpen presses it and expects to be led to the confirmation. It returns the path of that page.
func (s *server) mustOpen(t *testing.T, key guestKey, request string) string {
	t.Helper()
	a, err := s.open(t.Context(), false, key, request)
	require.NoError(t, err)
	require.Equal(t, http.StatusSeeOther, a.status, a.body)
	return a.header.Get("Location")
}

// gone is the outcome of an open whose key was deleted, for its guest.
const gone lock.Outcome = "gone"

var outcomePattern = regexp.MustCompile(`data-outcome="([a-z]+)"`)

// outcome reads what the confirmation page says of a request.
func (s *server) outcome(ctx context.Context, key guestKey, request string) (lock.Outcome, error) {
	a := act{kind: lookAt, lock: key.lock, key: key.uuid, request: lock.RequestID(request), called: time.Now()}
	answer, err := s.patiently(ctx, http.MethodGet, key.confirmation(request), nil)
	a.tell(answer, err)
	if err != nil {
		return "", err
	}
	if answer.status == http.StatusNotFound {
		return gone, nil
	}
	found := outcomePattern.FindStringSubmatch(answer.body)
	if answer.status != http.StatusOK || found == nil {
		return "", fmt.Errorf("the confirmation was answered %d: %s", answer.status, answer.body)
	}
	a.outcome = lock.Outcome(found[1])
	if a.outcome != "none" {
		s.ledger.add(a)
	}
	return a.outcome, nil
}

// becomes waits until the confirmation page says one of these outcomes, and returns it.
func (s *server) becomes(t *testing.T, key guestKey, request string, wanted ...lock.Outcome) lock.Outcome {
	t.Helper()
	var last lock.Outcome
	require.Eventually(t, func() bool {
		outcome, err := s.outcome(t.Context(), key, request)
		last = outcome
		for _, w := range wanted {
			if err == nil && outcome == w {
				return true
			}
		}
		return false
	}, patience, pollEvery, "request %s does not become one of %v", request, wanted)
	return last
}

// events reads all events of a lock, as the API shows them.
func (s *server) events(t *testing.T, id int64) (all []publicEvent) {
	t.Helper()
	for page := 1; ; page++ {
		part := s.must(t, http.StatusOK, http.MethodGet, fmt.Sprintf("/locks/%d/events?page=%d", id, page), nil).said()
		if all = append(all, part.Events...); page >= part.TotalPages {
			return all
		}
	}
}
