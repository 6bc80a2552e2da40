package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

// The tests in this file are made from openapi.yaml: an operation that is added there is tested here, with everybody who has
// no business with it. What the document cannot say about an operation is in these tables, and the tests fail with a hint as
// long as it is missing.
var (
	// pathValues fills the parameters of paths with things of hotel-9. What has an ID only once it is made is in estate.values.
	pathValues = map[string]string{"id": "42", "uuid": keyUUID, "orgId": "hotel-9", "keyId": "0123456789abcdef", "doorId": "1", "instanceId": "9f7d2c1e-0a4b-4c5d-8e6f-1a2b3c4d5e6f"}

	// aboutCollective are the operations whose uuid is that of a collective key.
	aboutCollective = regexp.MustCompile(`Collective|Door`)

	// bodies are for operations whose example in the document is not about the things of hotel-9.
	bodies = map[string]string{
		"CreateLock":    `{"index":1,"uuid":"` + deviceUUID + `","serialNumber":"SN-1","vendorName":"Acme"}`, // as it is
		"CreateTempKey": `{"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z"}`,
		"UpdateTempKey": `{"tempKeyUuid":"` + keyUUID + `","maxUses":9}`,
		"DeleteTempKey": `{"tempKeyUuid":"` + keyUUID + `"}`,

		"AddKey":         `{"keyUuid":"card-7"}`,
		"RemoveResident": `{"email":"kim@example.org"}`,

		"CreateTempKeys": `{"items":[{"lockId":42,"tempKey":{"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z"}}]}`,
		"UpdateTempKeys": `{"items":[{"lockId":42,"changes":{"tempKeyUuid":"` + keyUUID + `","maxUses":9}}]}`,
	}

	// later says what an owner gets of which more is needed than the right to it.
	later = map[string]int{"WriteKey": http.StatusBadGateway} // the device of these tests has no table of keys

	// foreigners says what another organisation's key gets where that is not a 404, and why.
	foreigners = map[string][]int{
		"CreateLock":            {http.StatusConflict}, // the lock is there, but whose it is stays unsaid
		"ListCollectiveKeys":    {http.StatusOK},       // their own, of which there are none
		"ListTempKeysOfCreator": {http.StatusOK},       // their own, of which there are none
		"CreateTempKeys":        {http.StatusOK},       // each of the keys is a 404, see TestManyKeysOfSomebodyElse
		"UpdateTempKeys":        {http.StatusOK},
		"FindOrCreateUser":      {http.StatusCreated, http.StatusOK}, // in a directory of their own
	}
	// strangers says the same of another user's token.
	strangers = map[string][]int{
		"CreateLock":            {http.StatusForbidden}, // users create no locks
		"ListCollectiveKeys":    {http.StatusOK},        // their own, of which there are none
		"ListTempKeysOfCreator": {http.StatusOK},
		"CreateTempKeys":        {http.StatusOK},
		"UpdateTempKeys":        {http.StatusOK},
		"FindUser":              {http.StatusForbidden}, // and have no directory
		"FindOrCreateUser":      {http.StatusForbidden},
	}
)

// request is an operation of our document as a request about things of hotel-9, which is well-formed.
type request struct {
	id, method, path, body string
	scope                  string
	entry                  *openapi3.Operation
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// operations lists the operations of our document, in a stable order.
func (s *server) operations() []request {
	s.t.Helper()
	all, err := contracts()
	require.NoError(s.t, err)
	var list []request
	for path, item := range all[0].doc.Paths.Map() {
		for method, entry := range item.Operations() {
			o := request{id: entry.OperationID, method: method, path: path, entry: entry}
			require.NotEmpty(s.t, o.id, "%s %s has no operationId", method, path)
			o.scope, _ = entry.Extensions["x-scope"].(string)
			require.Contains(s.t, []string{"public", "read", "manage", "open", "super"}, o.scope,
				"%s needs an x-scope in openapi.yaml: read, manage or open for API keys with that scope, super for the super key, public for all", o.id)
			o.path = parameter.ReplaceAllStringFunc(path, func(p string) string {
				name := p[1 : len(p)-1]
				value, ok := pathValues[name]
				if made, is := s.made[name]; is && (name != "uuid" || aboutCollective.MatchString(o.id)) {
					value = made
				}
				require.True(s.t, ok, "%s has the path parameter %s: give it a value in pathValues", o.id, p)
				return value
			})
			o.path += queries[o.id]
			o.body = o.example(s.t)
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b request) int { return strings.Compare(a.id, b.id) })
	return list
}

// queries are what operations need in theirs.
var queries = map[string]string{"FindUser": "?email=kim@example.org"}

// example is a body that the operation takes.
func (o *request) example(t testing.TB) string {
	t.Helper()
	if body, ok := bodies[o.id]; ok || o.entry.RequestBody == nil {
		return body
	}
	body := o.entry.RequestBody.Value
	media := body.Content.Get("application/json")
	if media == nil || media.Example == nil {
		require.False(t, body.Required, "%s takes a body: give it an example in openapi.yaml, or one in bodies", o.id)
		return ""
	}
	data, err := json.Marshal(media.Example)
	require.NoError(t, err)
	return string(data)
}

// newEstate is a server with lock 42 of hotel-9, its public key, a collective key, a card, a job, the resident Kim, and the user
// olga as its owner.
func newEstate(t *testing.T) (*server, string) {
	t.Helper()
	s := newServer(t)
	id, hotel := s.key("hotel-9", tenant.NewKey{})
	s.withLock(hotel)
	s.withKey(hotel, "")
	s.call("POST", "/locks/42/SetOwner", `{"userId":"olga"}`, as(hotel))
	a := s.call("POST", "/temp-keys", `{"validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z","doors":[{"lockId":"42"}]}`, as(hotel))
	require.Equal(t, http.StatusCreated, a.status, a.body)
	s.made = map[string]string{"keyId": id, "uuid": a.json()["uuid"].(string)}
	for operation, body := range map[string]string{
		"AddKey": `{"keyUuid":"04A1B2C3D4E5F6"}`, "AddResident": `{"name":"Kim","email":"kim@example.org"}`, "BulkAddKeys": `{"keys":[{"keyUuid":"card-9"}]}`,
	} {
		a := s.call("POST", "/locks/42/"+operation, body, as(hotel))
		require.Equal(t, http.StatusOK, a.status, a.body)
		if instance, ok := a.json()["instanceId"].(string); ok {
			s.made["instanceId"] = instance
		}
	}
	return s, hotel
}

// key makes an API key of an organisation and tells its ID and its secret.
func (s *server) key(org lock.OrgID, want tenant.NewKey) (id, secret string) {
	s.t.Helper()
	key, secret, err := s.tenants.Create(s.t.Context(), lock.Caller{Super: true}, org, want)
	require.NoError(s.t, err)
	return key.ID, secret
}

// What the other tests call hidden would prove nothing if it were not there for those whose it is.
func TestWhoMayGetsThrough(t *testing.T) {
	t.Parallel()
	for _, o := range newServer(t).operations() {
		t.Run(o.id, func(t *testing.T) {
			t.Parallel()
			s, hotel := newEstate(t)
			for _, o := range s.operations() { // with the IDs of this estate
				switch {
				case o.id != strings.TrimPrefix(t.Name(), "TestWhoMayGetsThrough/"):
				case o.scope == "super":
					a := s.super(o.method, o.path, o.body)
					require.Less(t, a.status, http.StatusBadRequest, a.body)
					o.shows(t, a)
				case o.scope != "public":
					a := s.call(o.method, o.path, o.body, as(hotel))
					if status, ok := later[o.id]; ok {
						require.Equal(t, status, a.status, a.body)
						return
					}
					require.Less(t, a.status, http.StatusBadRequest, "%s\nIf its example is not about the things of hotel-9, give it a body in bodies.", a.body)
					o.shows(t, a)
				}
			}
		})
	}
}

func TestNobodyGetsAtWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	s, hotel := newEstate(t)
	hostel := s.orgKey("hostel-2")
	id, revoked := s.key("hotel-9", tenant.NewKey{})
	_, err := s.tenants.Revoke(t.Context(), lock.Caller{Super: true}, "hotel-9", id)
	require.NoError(t, err)
	_, expired := s.key("hotel-9", tenant.NewKey{ExpiresAt: new(start.Add(time.Hour))})
	eve := token(t, "eve")
	s.clock.Advance(59 * time.Minute)
	require.Equal(t, http.StatusOK, s.call("GET", "/locks/42/details", "", as(expired)).status, "it is good until it expires")
	s.clock.Advance(time.Minute)
	before, view := s.history(), s.view(hotel)

	for _, o := range s.operations() {
		if o.scope == "public" {
			continue
		}
		call := func(who ...option) *answer { return s.call(o.method, o.path, o.body, who...) }
		s.refuses(&o, "nobody", call(), http.StatusUnauthorized, "credentials-required")
		s.refuses(&o, "a revoked key", call(as(revoked)), http.StatusUnauthorized, "api-key-revoked")
		s.refuses(&o, "an expired key", call(as(expired)), http.StatusUnauthorized, "api-key-expired")
		if o.scope == "super" {
			s.refuses(&o, "another organisation", call(as(hostel)), http.StatusForbidden, "super-key-required")
			s.refuses(&o, "another user", call(bearer(eve)), http.StatusForbidden, "super-key-required")
			continue
		}
		s.hides(&o, "another organisation", call(as(hostel)), foreigners)
		s.hides(&o, "another user", call(bearer(eve)), strangers)
		s.hides(&o, "another user of another organisation", call(as(hostel), bearer(eve)), foreigners)
	}
	require.Equal(t, before, s.history(), "nothing may have happened")
	require.Equal(t, view, s.view(hotel))
	require.Zero(t, s.kernel.opens)
}

// history is how much has happened to lock 42 and to the organisations.
func (s *server) history() string {
	s.t.Helper()
	_, total, err := s.kernel.Events(s.t.Context(), 42, 0, 1)
	require.NoError(s.t, err)
	keys, err := s.tenants.List(s.t.Context(), "hotel-9")
	require.NoError(s.t, err)
	return fmt.Sprint(total, len(keys))
}

// refuses checks a refusal that has nothing to do with what is there.
func (s *server) refuses(o *request, who string, a *answer, status int, reason string) {
	s.t.Helper()
	require.Equal(s.t, status, a.status, "%s by %s: %s", o.id, who, a.body)
	a.requireError(status, reason)
	o.documents(s.t, status)
}

// hides checks an answer that must not tell what is there.
func (s *server) hides(o *request, who string, a *answer, exceptions map[string][]int) {
	s.t.Helper()
	want, ok := exceptions[o.id]
	if !ok {
		want = []int{http.StatusNotFound}
	}
	require.Contains(s.t, want, a.status,
		"%s by %s: %s\nIf that is as it should be, say so with the reason in foreigners or strangers.", o.id, who, a.body)
	s.saysNothing(o, who, a)
	o.documents(s.t, a.status)
}

// theirs are names that are hotel-9's business, and the texts that only its own may see.
func (s *server) theirs() []string {
	return []string{
		"hotel", deviceUUID, keyUUID, s.made["uuid"], s.made["keyId"], s.made["instanceId"],
		"SN-1", "Acme", "olga", "Kim", "kim@", "04A1B2C3D4E5F6", "card-9",
	}
}

// saysNothing checks that an answer tells nothing of hotel-9's but what the request named itself.
func (s *server) saysNothing(o *request, who string, a *answer) {
	s.t.Helper()
	for _, secret := range s.theirs() {
		require.NotEmpty(s.t, secret)
		if !strings.Contains(o.path+o.body, secret) {
			require.NotContains(s.t, a.body, secret, "%s tells %s what is not theirs", o.id, who)
		}
	}
}

// documents checks that a caller can read in openapi.yaml that this may happen.
func (o *request) documents(t testing.TB, status int) {
	t.Helper()
	require.NotNil(t, o.entry.Responses.Status(status), "%s answers %d, which its entry in openapi.yaml does not name", o.id, status)
}

// A key may do what its scopes say and nothing else, whichever scopes it has.
func TestScopes(t *testing.T) {
	t.Parallel()
	for _, scope := range tenant.AllScopes() {
		t.Run(string(scope), func(t *testing.T) {
			t.Parallel()
			s, _ := newEstate(t)
			_, limited := s.key("hotel-9", tenant.NewKey{Scopes: []tenant.Scope{scope}})
			olga := token(t, "olga")
			for _, o := range s.operations() {
				switch o.scope {
				case "public", string(scope):
					continue
				case "super":
					s.refuses(&o, "a limited key", s.call(o.method, o.path, o.body, as(limited)), http.StatusForbidden, "super-key-required")
					continue
				}
				a := s.call(o.method, o.path, o.body, as(limited))
				s.refuses(&o, "a limited key", a, http.StatusForbidden, "scope-missing")
				require.Contains(t, a.json()["message"], "the scope "+o.scope+".")
				// A token does not widen what the key was made for.
				s.refuses(&o, "a limited key with the owner's token", s.call(o.method, o.path, o.body, as(limited), bearer(olga)), http.StatusForbidden, "scope-missing")
			}
			for _, o := range s.operations() {
				if o.scope == string(scope) {
					a := s.call(o.method, o.path, o.body, as(limited))
					require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, a.status, "%s: %s", o.id, a.body)
				}
			}
		})
	}
}

// What is public needs no credentials, and takes none that are not good where it looks at them.
func TestPublicOperations(t *testing.T) {
	t.Parallel()
	s, _ := newEstate(t)
	for _, o := range s.operations() {
		free := o.entry.Security != nil && (len(*o.entry.Security) == 0 || slices.ContainsFunc(*o.entry.Security, func(r openapi3.SecurityRequirement) bool { return len(r) == 0 }))
		require.Equal(t, o.scope == "public", free, "%s: x-scope and security contradict each other", o.id)
		if o.id == "OpenWithPin" { // the code is the credential, and the one in the example is wrong
			s.call(o.method, o.path, o.body).requireInvalidPIN()
			continue
		}
		if free {
			require.Less(t, s.call(o.method, o.path, o.body).status, http.StatusBadRequest, o.id)
		}
	}
}
