package tests

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
)

// post is a POST of openapi.yaml, with a name that it is sent under.
type post struct {
	operation, path string
	body            any
	first           *answer // that it got
}

func (p *post) send(t *testing.T, to *server) *answer {
	t.Helper()
	a, err := to.patiently(t.Context(), http.MethodPost, p.path, p.body, "Idempotency-Key", "name-of-"+p.operation)
	require.NoError(t, err)
	a.body = strings.ReplaceAll(a.body, to.url, "") // links name the server that was asked
	return a
}

// everyPost is one request for each POST of the document, in an order in which all of them can be carried out. The lock 1 has a device that
// keeps keys.
func everyPost(t *testing.T, s *server) []*post {
	t.Helper()
	type object = map[string]any
	from, until := time.Now(), time.Now().Add(time.Hour)
	must := func(path string, body any) *answer { return s.must(t, http.StatusCreated, http.MethodPost, path, body) }
	apiKey := func() string { return must("/organizations/hotel-9/api-keys", nil).said().KeyID }
	var shared struct{ UUID, PIN string }
	made := must("/temp-keys", object{"validFrom": from, "validUntil": until, "doors": []any{object{"lockId": "1", "accessMethod": "both"}}})
	require.NoError(t, json.Unmarshal([]byte(made.body), &shared))
	key, gone := uuid.NewString(), uuid.NewString()
	for _, id := range []string{key, gone} {
		s.must(t, http.StatusOK, http.MethodPost, "/locks/1/create-temp-key", object{"tempKeyUuid": id, "accessMode": "public", "validFrom": from, "validUntil": until})
	}
	window := object{"accessMode": "public", "validFrom": from, "validUntil": until}
	doors := object{"validFrom": from, "validUntil": until, "doors": []any{object{"lockId": "1"}}}
	list := []*post{
		{operation: "CreateLock", path: "/locks/77/CreateLock", body: object{"index": 1, "uuid": uuid.NewString()}},
		{operation: "RotateDeviceSecret", path: "/locks/77/RotateDeviceSecret"},
		{operation: "ChangeLockUuid", path: "/locks/77/ChangeLockUuid", body: object{"newUuid": uuid.NewString()}},
		{operation: "RegisterOrganization", path: "/organizations", body: object{"orgId": "hostel-2", "name": "Hostel Two"}},
		{operation: "CreateApiKey", path: "/organizations/hotel-9/api-keys", body: object{"name": "PMS"}},
		{operation: "RotateApiKey", path: "/organizations/hotel-9/api-keys/" + apiKey() + "/rotate"},
		{operation: "RevokeApiKey", path: "/organizations/hotel-9/api-keys/" + apiKey() + "/revoke"},
		{operation: "FindOrCreateUser", path: "/users/by-email", body: object{"email": "kim@example.org"}},
		{operation: "OpenLock", path: "/locks/1/OpenLock", body: object{"reason": "courier"}},
		{operation: "OpenWithTempKey", path: "/temp-keys/" + key + "/open"},
		{operation: "OpenDoor", path: "/temp-keys/" + shared.UUID + "/doors/1/open"},
		{operation: "OpenCollectiveDoor", path: "/collective-temp-keys/" + shared.UUID + "/doors/1/open"},
		{operation: "OpenWithPin", path: "/locks/1/open-with-pin", body: object{"pin": shared.PIN}},
		{operation: "AddKey", path: "/locks/1/AddKey", body: object{"keyUuid": "card-1"}},
		{operation: "WriteKey", path: "/locks/1/WriteKey", body: object{"keyUuid": "card-1"}},
		{operation: "RemoveKey", path: "/locks/1/RemoveKey", body: object{"keyUuid": "card-1"}},
		{operation: "BulkAddKeys", path: "/locks/1/BulkAddKeys", body: object{"keys": []any{object{"keyUuid": "card-2"}}}},
		{operation: "AddResident", path: "/locks/1/AddResident", body: object{"name": "Lou", "email": "lou@example.org"}},
		{operation: "RemoveResident", path: "/locks/1/RemoveResident", body: object{"email": "lou@example.org"}},
		{operation: "SetConfig", path: "/locks/1/SetConfig", body: object{"relockMs": 4000}},
		{operation: "UseTempKey", path: "/locks/1/use-temp-key", body: object{"tempKeyUuid": key}},
		{operation: "CreateTempKey", path: "/locks/1/create-temp-key", body: window},
		{operation: "UpdateTempKey", path: "/locks/1/update-temp-key", body: object{"tempKeyUuid": key, "maxUses": 50}},
		{operation: "DeleteTempKey", path: "/locks/1/delete-temp-key", body: object{"tempKeyUuid": gone}},
		{operation: "CreateTempKeys", path: "/bulk/create-temp-keys", body: object{"items": []any{object{"lockId": 1, "tempKey": window}, object{"lockId": 9, "tempKey": window}}}},
		{operation: "UpdateTempKeys", path: "/bulk/update-temp-keys", body: object{"items": []any{object{"lockId": 1, "changes": object{"tempKeyUuid": key, "maxUses": 60}}}}},
		{operation: "CreateCollectiveKey", path: "/temp-keys", body: doors},
		{operation: "CreateCollectiveTempKey", path: "/collective-temp-keys", body: doors},
		{operation: "SetOwner", path: "/locks/1/SetOwner", body: object{"userId": "ann"}},
		{operation: "SetOrganization", path: "/locks/1/SetOrganization", body: object{"orgId": "hotel-9"}},
	}
	all, err := documents()
	require.NoError(t, err)
	var documented, listed []string
	for _, item := range all[0].doc.Paths.Map() {
		if item.Post != nil {
			documented = append(documented, item.Post.OperationID)
		}
	}
	for _, p := range list {
		listed = append(listed, p.operation)
	}
	require.ElementsMatch(t, documented, listed, "a POST that is new in openapi.yaml belongs into this list")
	return list
}

// toldOnce are the operations whose answers have a secret.
var toldOnce = map[string]bool{"RotateDeviceSecret": true, "CreateApiKey": true, "RotateApiKey": true}

// sendAll sends the requests for the first time, and waits until what they have begun has ended.
func sendAll(t *testing.T, posts []*post, to *server) {
	t.Helper()
	for _, p := range posts {
		p.first = p.send(t, to)
		require.Less(t, p.first.status, 400, "%s: %s", p.operation, p.first.body)
		require.Empty(t, p.first.header.Get("Idempotent-Replayed"))
		var job struct{ InstanceID, Status string }
		require.Eventually(t, func() bool {
			if p.operation != "BulkAddKeys" {
				return true
			}
			require.NoError(t, json.Unmarshal([]byte(p.first.body), &job))
			a := to.must(t, http.StatusOK, http.MethodGet, p.path+"/"+job.InstanceID, nil)
			require.NoError(t, json.Unmarshal([]byte(a.body), &job))
			return job.Status == "ended"
		}, patience, pollEvery)
	}
}

// repeatAll sends them again: each gets the answer from before.
func repeatAll(t *testing.T, posts []*post, to *server) {
	t.Helper()
	for _, p := range posts {
		again := p.send(t, to)
		if toldOnce[p.operation] {
			require.Equal(t, http.StatusConflict, again.status, p.operation)
			require.Equal(t, "secret-told-before", again.said().Reason)
			continue
		}
		require.Equal(t, p.first.status, again.status, "%s: %s", p.operation, again.body)
		require.Equal(t, p.first.body, again.body, p.operation)
		require.Equal(t, p.first.header.Get("Location"), again.header.Get("Location"), p.operation)
		if !strings.HasPrefix(p.operation, "Open") {
			require.Equal(t, "true", again.header.Get("Idempotent-Replayed"), p.operation)
		}
	}
}

// effects counts the records, but for those that devices bring about by themselves.
func effects(records []journal.Record) map[string]int {
	counts := make(map[string]int)
	for _, r := range records {
		if r.Type != "DeviceReported" && r.Type != "ConfigApplied" {
			counts[r.Type]++
		}
	}
	return counts
}

// Bar: every POST under a name leads to one effect, and gets the same answer from a server that was killed in between.
func TestEveryNamedRequestSurvivesKill(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(t, s.provision(t, 1)[0])
	connect(t, d)
	posts := everyPost(t, s)
	sendAll(t, posts, s)
	moved := len(d.Movements())
	s.kill()
	once := effects(s.records(t))
	for range 2 {
		s.start(t)
		repeatAll(t, posts, s)
		s.kill()
		require.Equal(t, once, effects(s.records(t)))
	}
	require.Len(t, d.Movements(), moved)
	require.GreaterOrEqual(t, once["RequestRemembered"], len(posts)-5, "all but the opens")
	s.start(t)
	s.conclude(t)
}

// Bar: the same when it is sent again to another node, also after the one that took it was killed.
func TestEveryNamedRequestIsKnownToAllNodes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pin-key")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("0f", 32)), 0o600))
	c := newCluster(t, "--pin-key-file", file)
	d := c.device(t, c.provision(t, 1)[0], c.anyNode(1))
	connect(t, d)
	posts := everyPost(t, c.server)
	taker, other, third := c.nodes[0], c.nodes[1], c.nodes[2]
	sendAll(t, posts, taker.server)
	moved, once := len(d.Movements()), effects(c.records(t))
	repeatAll(t, posts, other.server)
	require.Equal(t, once, effects(c.records(t)))
	taker.kill()
	c.nodes = c.nodes[1:]
	repeatAll(t, posts, third.server)
	require.Equal(t, once, effects(c.records(t)))
	require.Len(t, d.Movements(), moved)
	for _, p := range posts {
		if p.operation == "CreateCollectiveKey" || p.operation == "FindOrCreateUser" || p.operation == "RegisterOrganization" {
			stolen := post{operation: p.operation, path: "/organizations/hotel-9/api-keys"}
			require.Equal(t, "idempotency-key-reused", stolen.send(t, other.server).said().Reason, p.operation)
		}
	}
	c.conclude(t)
}
