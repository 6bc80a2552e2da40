package tests

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/oapi-codegen/nullable"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/client"
	"github.com/latchkey/latchkey/sim"
)

// programOf is a platform's program, with the client for Go.
func programOf(t *testing.T, url, key string) *client.ClientWithResponses {
	t.Helper()
	c, err := client.New(client.Options{Server: url, APIKey: key, HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	require.NoError(t, err)
	return c
}

// Bar: a program follows the events with the client, and misses none and sees none twice, whatever breaks.
func TestAProgramFollowsEvents(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := programOf(t, s.url, s.superKey)
	_, err := c.RegisterOrganizationWithResponse(t.Context(), client.RegisterOrganizationRequest{OrgId: "hotel-9"})
	require.NoError(t, err)
	_, err = c.CreateLockWithResponse(t.Context(), 42, client.CreateLockRequest{Index: 1, Uuid: uuid.New()})
	require.NoError(t, err)
	_, err = c.SetOrganizationWithResponse(t.Context(), 42, client.SetOrganizationRequest{OrgId: "hotel-9"})
	require.NoError(t, err)

	owners, position, cursor := 0, int64(0), ""
	follow := func() {
		t.Helper()
		end, err := c.ReadOrganizationEvents(t.Context(), "hotel-9", cursor, func(e *client.ExportedEvent) error {
			require.Greater(t, e.Position, position)
			if position = e.Position; e.Type != "OwnerSet" {
				return nil
			}
			var set client.OwnerSetData
			require.NoError(t, json.Unmarshal(e.Event, &set))
			require.Equal(t, []string{"ann", "ben"}[owners%2], set.UserId)
			owners++
			return nil
		})
		require.NoError(t, err)
		require.True(t, end.Complete)
		cursor = end.Cursor
	}
	follow()
	for i := range 20 {
		_, err = c.SetOwnerWithResponse(t.Context(), 42, client.SetOwnerRequest{UserId: nullable.NewNullableWithValue([]string{"ann", "ben"}[i%2])})
		require.NoError(t, err)
		if i == 12 {
			s.restart(t)
		}
		if i%5 == 0 {
			follow()
		}
	}
	follow()
	require.Equal(t, 20, owners)

	versions := int64(0)
	end, err := c.ReadLockEvents(t.Context(), 42, "", func(e *client.ExportedEvent) error {
		versions++
		require.Equal(t, versions, e.Version)
		return nil
	})
	require.NoError(t, err)
	require.True(t, end.Complete)
	require.EqualValues(t, 22, versions, "LockCreated, OrganizationSet and 20 owners")
	whole, err := c.ExportLockEventsWithResponse(t.Context(), 42, nil)
	require.NoError(t, err)
	require.NotEmpty(t, whole.Body)
}

// breaksOnce is a network whose first connection breaks towards the client, while the server goes on.
type breaksOnce struct {
	next     http.RoundTripper
	when     chan struct{}
	once     sync.Once
	inFlight atomic.Int64 // answers that said so
}

func (b *breaksOnce) RoundTrip(r *http.Request) (*http.Response, error) {
	first := false
	b.once.Do(func() { first = true })
	if first {
		go func() {
			if answer, err := b.next.RoundTrip(r.Clone(context.WithoutCancel(r.Context()))); err == nil {
				_ = answer.Body.Close()
			}
		}()
		<-b.when
		return nil, io.ErrUnexpectedEOF
	}
	answer, err := b.next.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusConflict {
		b.inFlight.Add(1)
	}
	return answer, err
}

// Bar: a named call whose connection breaks while the server is at it is answered all the same, and carried out once.
func TestTheClientWaitsForACallThatIsBeingCarriedOut(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cred := s.provision(t, 1)[0]
	connect(t, s.device(t, cred, func(o *sim.DeviceOptions) { o.Faults.LatencyMin, o.Faults.LatencyMax = time.Second, time.Second }))
	network := &breaksOnce{next: s.web.Transport, when: make(chan struct{})}
	c, err := client.New(client.Options{Server: s.url, APIKey: s.superKey, HTTP: &http.Client{Transport: network}})
	require.NoError(t, err)
	changes := func() (n int) {
		for _, e := range s.events(t, cred.LockID) {
			if e.Type == "KeyChangeRequested" {
				n++
			}
		}
		return n
	}

	var added *client.AddKeyResponse
	done := make(chan error, 1)
	go func() {
		var err error
		added, err = c.AddKeyWithResponse(t.Context(), cred.LockID, client.NewKey{KeyUuid: "card-1"}, client.IdempotencyKey("n1"))
		done <- err
	}()
	require.Eventually(t, func() bool { return changes() == 1 }, patience, 10*time.Millisecond)
	close(network.when)
	require.NoError(t, <-done)
	require.Positive(t, network.inFlight.Load())
	require.Equal(t, "true", added.HTTPResponse.Header.Get("Idempotent-Replayed"))
	require.Equal(t, client.Yes, added.JSON200.OnDevice)
	require.Equal(t, 1, changes())
}

// Bar: what an API promises to a program, the client for Go can do: lift a limit, go on after a secret that was told before,
// and tell by events which collective key has opened a door, also when that is revoked.
func TestWhatAProgramDoesWithTheClient(t *testing.T) {
	t.Parallel()
	pinKey := filepath.Join(t.TempDir(), "pin-key")
	require.NoError(t, os.WriteFile(pinKey, []byte(strings.Repeat("0f", 32)), 0o600))
	s := newServer(t, "--pin-key-file", pinKey)
	c, cred := programOf(t, s.url, s.superKey), s.provision(t, 1)[0]
	connect(t, s.device(t, cred))
	now := time.Now()

	uses, key := int64(1), uuid.New()
	_, err := c.CreateTempKeyWithResponse(t.Context(), cred.LockID, client.CreateTempKeyRequest{
		TempKeyUuid: &key, AccessMode: client.Public, ValidFrom: now, ValidUntil: now.Add(time.Hour), MaxUses: &uses,
	})
	require.NoError(t, err)
	_, err = c.UpdateTempKeyWithResponse(t.Context(), cred.LockID, client.UpdateTempKeyRequest{TempKeyUuid: key, MaxUses: nullable.NewNullNullable[int64]()})
	require.NoError(t, err)
	listed, err := c.ListTempKeysWithResponse(t.Context(), cred.LockID, nil)
	require.NoError(t, err)
	require.Nil(t, listed.JSON200.TempKeys[0].MaxUses)

	lockID, both, name := strconv.FormatInt(cred.LockID, 10), client.AccessMethodBoth, client.IdempotencyKey(uuid.NewString())
	doors := client.CreateCollectiveKeyRequest{ValidFrom: now, ValidUntil: now.Add(time.Hour), Doors: []client.NewDoor{{LockId: lockID, AccessMethod: &both}}}
	made, err := c.CreateCollectiveKeyWithResponse(t.Context(), doors, name)
	require.NoError(t, err)
	_, err = c.CreateCollectiveKeyWithResponse(t.Context(), doors, name)
	var refusal *client.APIError
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, "secret-told-before", refusal.Reason)
	require.Equal(t, made.JSON201.Uuid, refusal.UUID)
	require.Equal(t, made.JSON201.Url, refusal.URL)

	pin, err := c.OpenWithPinWithResponse(t.Context(), cred.LockID, client.OpenWithPinRequest{Pin: *made.JSON201.Pin})
	require.NoError(t, err)
	require.Equal(t, client.OutcomeOpened, pin.JSON200.Outcome)
	_, err = c.RevokeCollectiveKeyWithResponse(t.Context(), made.JSON201.Uuid)
	require.NoError(t, err)
	revoked, err := c.ListCollectiveKeysWithResponse(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, made.JSON201.Doors, revoked.JSON200.TempKeys[0].Doors)
	opens := 0
	_, err = c.ReadLockEvents(t.Context(), cred.LockID, "", func(e *client.ExportedEvent) error {
		var opened struct{ TempKeyUuids []string }
		if e.Type != "LockOpened" {
			return nil
		}
		opens++
		require.NoError(t, json.Unmarshal(e.Event, &opened))
		require.Equal(t, []string{revoked.JSON200.TempKeys[0].Doors[0].TempKeyUuid}, opened.TempKeyUuids)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, opens)
}
