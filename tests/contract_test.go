package tests

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// document is an OpenAPI document that answers are held against.
type document struct {
	file   string
	doc    *openapi3.T
	router routers.Router
}

var documents = sync.OnceValues(func() (all []document, err error) {
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.PlainBodyDecoder)
	for _, file := range []string{"../api/openapi.yaml", "../api/testdata/reference-openapi.yaml"} {
		doc, err := openapi3.NewLoader().LoadFromFile(file)
		if err != nil {
			return nil, err
		}
		if err := doc.Validate(context.Background()); err != nil {
			return nil, err
		}
		router, err := legacy.NewRouter(doc)
		if err != nil {
			return nil, err
		}
		all = append(all, document{file, doc, router})
	}
	return all, nil
})

// conforms makes a call, and holds its answer against every document that has the operation. It returns the operation in each
// of these documents.
func (s *server) conforms(t *testing.T, status int, method, path string, body any) (a *answer, in []string) {
	t.Helper()
	a = s.must(t, status, method, path, body)
	all, err := documents()
	require.NoError(t, err)
	for _, d := range all {
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
		require.NoError(t, err)
		route, params, err := d.router.FindRoute(r)
		if err != nil {
			continue // it is not one of this document's operations
		}
		err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
			Status:                 a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)),
		})
		require.NoError(t, err, "%s %s is not as in %s: %s", method, path, d.file, a.body)
		in = append(in, d.file+" "+method+" "+route.Path)
	}
	return a, in
}

// Bar: every operation, once and end to end, gives what the documents say; both of them know the two pages that the
// reference was made from. The events are those of the reference.
func TestEveryOperationIsAsDocumented(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	seen := make(map[string]int)
	do := func(status int, method, path string, body any) *answer {
		a, in := s.conforms(t, status, method, path, body)
		for _, operation := range in {
			seen[operation]++
		}
		return a
	}
	const post, get = http.MethodPost, http.MethodGet
	device, key := uuid.NewString(), uuid.NewString()
	now := time.Now().UTC()

	const keys = "/organizations/hotel-9/api-keys"
	do(201, post, "/organizations", map[string]any{"orgId": "hotel-9", "name": "Hotel Nine"})
	do(200, get, "/organizations", nil)
	made := do(201, post, keys, map[string]any{"name": "PMS", "scopes": []string{"read"}, "expiresAt": now.Add(time.Hour)}).said()
	do(201, post, keys+"/"+made.KeyID+"/rotate", map[string]any{"graceSeconds": 60})
	do(200, post, keys+"/"+made.KeyID+"/revoke", nil)
	do(200, get, keys, nil)
	do(201, post, "/locks/1/CreateLock", map[string]any{"index": 1, "uuid": device, "serialNumber": "SN-1", "vendorName": "Acme",
		"keys": []any{map[string]any{"uuid": "k1", "indexNumber": 3, "userId": "ann"}}})
	do(200, post, "/locks/1/SetOwner", map[string]any{"userId": "ann"})
	do(200, post, "/locks/1/SetOrganization", map[string]any{"orgId": "hotel-9"})
	secret := do(200, post, "/locks/1/RotateDeviceSecret", map[string]any{}).said().Secret
	terms := map[string]any{"tempKeyUuid": key, "accessMode": "public", "validFrom": now, "validUntil": now.Add(time.Hour), "maxUses": 3, "description": "Room 12"}
	do(200, post, "/locks/1/create-temp-key", terms)
	do(200, post, "/locks/1/update-temp-key", map[string]any{"tempKeyUuid": key, "maxUses": 4, "validUntil": now.Add(2 * time.Hour)})
	do(200, post, "/locks/1/update-temp-key", map[string]any{"tempKeyUuid": key, "maxUses": nil, "description": "Room 13", "graceAfterSeconds": 60}) // the last two are our own
	do(200, post, "/locks/1/update-temp-key", map[string]any{"tempKeyUuid": key, "maxUses": 4, "schedule": nil, "graceAfterSeconds": 0})
	do(200, post, "/locks/1/update-temp-key", map[string]any{"tempKeyUuid": key, "description": "Room 12"})

	hours := map[string]any{"timeZone": "Europe/Berlin", "rules": []any{map[string]any{"days": []string{"mon", "sat"}, "from": "22:00", "until": "06:00"}}}
	regular := map[string]any{"tempKeyUuid": uuid.NewString(), "accessMode": "public", "validFrom": now, "validUntil": now.AddDate(0, 1, 0), "schedule": hours, "graceBeforeSeconds": 60}
	do(200, post, "/bulk/create-temp-keys", map[string]any{"items": []any{map[string]any{"lockId": 1, "tempKey": regular}, map[string]any{"lockId": 9, "tempKey": terms}}})
	do(200, post, "/bulk/update-temp-keys", map[string]any{"items": []any{map[string]any{"lockId": 1, "changes": map[string]any{"tempKeyUuid": regular["tempKeyUuid"], "maxUses": 9}}}})
	do(400, post, "/bulk/create-temp-keys", map[string]any{"items": []any{}})
	do(200, get, "/locks/1/temp-keys?limit=1", nil)
	do(200, get, "/locks/temp-keys?createdBy=super&limit=1", nil)
	do(400, get, "/locks/temp-keys?cursor=x", nil)
	do(200, post, "/locks/1/delete-temp-key", map[string]any{"tempKeyUuid": regular["tempKeyUuid"]})

	do(502, post, "/locks/1/OpenLock", map[string]any{})
	connect(t, s.device(t, credential(1, device, secret)))
	opened := do(200, post, "/locks/1/OpenLock", map[string]any{"reason": "courier"})
	require.Equal(t, string(lock.Opened), opened.said().Outcome)
	to := do(303, post, "/temp-keys/"+key+"/open", nil).header.Get("Location")
	page := do(200, get, "/temp-keys/"+key, nil)
	require.Contains(t, page.header.Get("Content-Type"), "text/html")
	do(200, get, to, nil)

	// The two requests that the reference was made from are in both documents.
	for _, path := range []string{"/locks/1/temp-keys", "/temp-keys/" + key + "/confirmation?offline=true", "/temp-keys/" + key + "/confirmation?offline=null"} {
		a, in := s.conforms(t, 200, get, path, nil)
		require.Len(t, in, 2, path)
		require.NotEmpty(t, a.body)
	}
	require.Contains(t, s.must(t, 200, get, "/temp-keys/"+key+"/confirmation?offline=null", nil).body, `href="/temp-keys/`+key+`"`)
	do(200, get, "/locks/1/basic-info", nil)
	do(200, get, "/locks/1/details", nil)
	do(404, get, "/locks/2/details", nil)
	do(404, get, "/temp-keys/"+uuid.NewString(), nil)
	do(400, get, "/locks/zero/temp-keys", nil)
	keysAndPeople(t, do)
	do(200, post, "/locks/1/use-temp-key", map[string]any{"tempKeyUuid": key})
	do(404, post, "/locks/1/use-temp-key", map[string]any{"tempKeyUuid": uuid.NewString()})
	shared := do(201, post, "/temp-keys", map[string]any{"validFrom": now, "validUntil": now.Add(time.Hour), "description": "Room 12 and the gym",
		"doors": []any{map[string]any{"lockId": "1", "label": "Gym", "accessMethod": "both"}}})
	var collective struct{ UUID, PIN string }
	require.NoError(t, json.Unmarshal([]byte(shared.body), &collective))
	do(200, post, "/locks/1/open-with-pin", map[string]any{"pin": collective.PIN})
	do(401, post, "/locks/1/open-with-pin", map[string]any{"pin": "0000"})
	for _, prefix := range []string{"/temp-keys/", "/collective-temp-keys/"} {
		require.Contains(t, do(200, get, prefix+collective.UUID, nil).body, collective.PIN)
		to := do(303, post, prefix+collective.UUID+"/doors/1/open", nil).header.Get("Location")
		do(200, get, strings.Replace(to, "/temp-keys/", prefix, 1), nil)
		do(400, post, strings.TrimSuffix(prefix, "/"), map[string]any{})
		do(404, http.MethodDelete, prefix+uuid.NewString(), nil)
	}
	do(201, post, "/collective-temp-keys", map[string]any{"validFrom": now, "validUntil": now.Add(time.Hour), "doors": []any{map[string]any{"lockId": "1"}}})
	do(200, get, "/temp-keys?lockId=1", nil)
	do(200, get, "/locks/temp-keys?createdBy=hotel-9", nil)
	do(200, http.MethodDelete, "/temp-keys/"+collective.UUID, nil)
	do(200, http.MethodDelete, "/collective-temp-keys/"+collective.UUID, nil)
	window := map[string]any{"accessMode": "public", "validFrom": now, "validUntil": now.Add(time.Hour)}
	do(200, post, "/bulk/create-temp-keys", map[string]any{"items": []any{map[string]any{"lockId": 1, "tempKey": window}}})
	do(200, post, "/bulk/update-temp-keys", map[string]any{"items": []any{map[string]any{"lockId": 1, "changes": map[string]any{"tempKeyUuid": key, "maxUses": 5}}}})
	do(200, post, "/locks/1/delete-temp-key", map[string]any{"tempKeyUuid": key})
	do(404, post, "/temp-keys/"+key+"/open", nil)
	replaced(do)
	do(200, get, "/locks/1/events", nil)
	do(200, get, "/locks/1/events/export", nil)
	do(200, get, "/organizations/hotel-9/events", nil)

	file, err := os.ReadFile("../api/testdata/reference-events.json")
	require.NoError(t, err)
	var reference struct{ Events map[string]*openapi3.Schema }
	require.NoError(t, json.Unmarshal(file, &reference))
	known, ours, followed := make(map[string]bool), make(map[string]bool), 0
	accepted, used := make(map[any]bool), make(map[any]bool)
	for i, e := range s.events(t, 1) {
		require.EqualValues(t, i+1, e.Version)
		switch e.Type {
		case "LockOpenRequested":
			accepted[e.Event["requestId"]] = true
		case "TempKeyUsed":
			used[e.Event["tempKeyUuid"]] = true
		case "LockOpened", "LockOpenFailed":
			require.NotEmpty(t, e.Event["requestIds"])
			require.Subset(t, slices.Collect(maps.Keys(accepted)), e.Event["requestIds"])
			if keys, ok := e.Event["tempKeyUuids"]; ok {
				require.Subset(t, slices.Collect(maps.Keys(used)), keys)
				followed++
			}
		}
		schema := reference.Events[e.Type]
		if schema == nil {
			ours[e.Type] = true
			continue
		}
		require.NoError(t, schema.VisitJSON(e.Event, openapi3.EnableJSONSchema2020()), "%s: %v", e.Type, e.Event)
		known[e.Type] = true
	}
	for _, typ := range []string{"LockCreated", "OwnerSet", "OrganizationSet", "TempKeyCreated", "TempKeyUpdated", "TempKeyUsed", "LockOpenRequested", "TempKeyDeleted",
		"KeyAdded", "KeyRemoved", "KeyWriteRequested", "ResidentAdded", "ResidentRemoved", "LockUuidChanged"} {
		require.True(t, known[typ], typ)
	}
	require.Len(t, known, len(reference.Events), "all events of the reference have happened")
	require.True(t, ours["LockOpened"])
	require.Positive(t, followed, "opens by temporary keys")
	do(200, get, "/openapi.json", nil)
	do(200, get, "/docs", nil)
	all, err := documents()
	require.NoError(t, err)
	for path, item := range all[0].doc.Paths.Map() {
		for method := range item.Operations() {
			if seen[all[0].file+" "+method+" "+path] == 0 {
				t.Errorf("%s %s was not called", method, path)
			}
		}
	}
	t.Logf("%d operations of two documents conform; %d types of events as in the reference, %d of our own", len(seen), len(known), len(ours))
}
