package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
)

// The test in this file is made from openapi.yaml, too: a POST that is added there is sent twice here.
var (
	// whole are the bodies of operations whose examples have a name of their own.
	whole = map[string]string{"OpenLock": `{"reason":"The courier is at the door"}`}
	// others are further bodies of the operations, which say something else.
	others = map[string]string{
		"CreateLock":              `{"index":1,"uuid":"` + deviceUUID + `","serialNumber":"SN-2","vendorName":"Acme"}`,
		"SetOwner":                `{"userId":"eve"}`,
		"SetOrganization":         `{"orgId":"hostel-2"}`,
		"RotateDeviceSecret":      `{"graceSeconds":7}`,
		"OpenLock":                `{"reason":"Another courier"}`,
		"AddKey":                  `{"keyUuid":"card-8"}`,
		"RemoveKey":               `{"keyUuid":"card-8"}`,
		"WriteKey":                `{"keyUuid":"card-8"}`,
		"BulkAddKeys":             `{"keys":[{"keyUuid":"card-10"}]}`,
		"AddResident":             `{"name":"Lou","email":"lou@example.org"}`,
		"RemoveResident":          `{"email":"lou@example.org"}`,
		"ChangeLockUuid":          `{"newUuid":"` + uuidNamed(9) + `"}`,
		"SetConfig":               `{"relockMs":7000}`,
		"UseTempKey":              `{"tempKeyUuid":"` + uuidNamed(9) + `"}`,
		"FindOrCreateUser":        `{"email":"lou@example.org"}`,
		"CreateTempKey":           `{"accessMode":"public","validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-03T10:00:00Z"}`,
		"UpdateTempKey":           `{"tempKeyUuid":"` + keyUUID + `","maxUses":8}`,
		"DeleteTempKey":           `{"tempKeyUuid":"` + uuidNamed(9) + `"}`,
		"CreateTempKeys":          `{"items":[` + bulkKey(42, `,"tempKeyUuid":"`+uuidNamed(2)+`"`) + `]}`,
		"UpdateTempKeys":          `{"items":[{"lockId":42,"changes":{"tempKeyUuid":"` + keyUUID + `","maxUses":8}}]}`,
		"CreateCollectiveKey":     `{"validFrom":"2026-05-01T15:00:00Z","validUntil":"2026-05-04T11:00:00Z","doors":[{"lockId":"42"}]}`,
		"CreateCollectiveTempKey": `{"validFrom":"2026-05-01T15:00:00Z","validUntil":"2026-05-04T11:00:00Z","doors":[{"lockId":"42"}]}`,
		"RegisterOrganization":    `{"orgId":"hotel-9","name":"Another"}`,
		"CreateApiKey":            `{"name":"Another"}`,
		"RotateApiKey":            `{"graceSeconds":7}`,
		"RevokeApiKey":            "", // its body is always empty: see elsewhere
	}
	// elsewhere are other requests of operations whose body can say nothing else. Of an open that is another key of the lock.
	elsewhere = map[string]func(*server) request{
		"RevokeApiKey": func(*server) request {
			return request{method: "POST", path: "/organizations/hotel-9/api-keys/0123456789abcdef/revoke"}
		},
		"OpenWithTempKey": (*server).otherKey, "OpenDoor": (*server).otherKey, "OpenCollectiveDoor": (*server).otherKey,
		"OpenWithPin": func(s *server) request {
			return request{method: "POST", path: "/locks/42/open-with-pin", body: `{"pin":"` + s.newPIN() + `"}`}
		},
	}
	// secret are the operations whose answers have a secret, with the field that tells which thing it is of.
	secret = map[string]string{"RotateDeviceSecret": "reason", "CreateApiKey": "keyId", "RotateApiKey": "keyId", "CreateCollectiveKey": "url"}
)

// otherKey is an open with a key of its own.
func (s *server) otherKey() request {
	s.t.Helper()
	a := s.super("POST", "/locks/42/create-temp-key", `{`+aWindow+`}`)
	require.Equal(s.t, http.StatusOK, a.status, a.body)
	return request{method: "POST", path: "/temp-keys/" + a.json()["tempKeyUuid"].(string) + "/open"}
}

// newPIN makes a key with a code.
func (s *server) newPIN() string {
	s.t.Helper()
	a := s.super("POST", "/temp-keys", `{"validFrom":"2026-05-01T10:00:00Z","validUntil":"2026-05-02T10:00:00Z","doors":[{"lockId":"42","accessMethod":"both"}]}`)
	require.Equal(s.t, http.StatusCreated, a.status, a.body)
	return a.json()["pin"].(string)
}

// happened counts all that was stored, and all that reached a device.
func (s *server) happened() (n int) {
	s.t.Helper()
	for more := true; more; {
		records, err := s.journal.ReadAll(s.t.Context(), uint64(n), 1000)
		require.NoError(s.t, err)
		n += len(records)
		more = len(records) > 0
	}
	s.kernel.mu.Lock()
	defer s.kernel.mu.Unlock()
	for _, events := range s.kernel.events {
		n += len(events)
	}
	return n + s.kernel.opens
}

// Every POST takes a name: sent again it is answered as before and has led to one thing, and the name is good for nothing else.
func TestEveryPostIsCarriedOutOnceUnderItsName(t *testing.T) {
	t.Parallel()
	for _, listed := range newServer(t).operations() {
		if listed.method != http.MethodPost {
			continue
		}
		t.Run(listed.id, func(t *testing.T) {
			t.Parallel()
			s, hotel := newEstate(t)
			s.withTableOfKeys()
			hostel := s.orgKey("hostel-2")
			o := s.operation(listed.id)
			who := map[string][]option{"super": {as(superKey)}, "public": nil}[o.scope]
			if o.scope != "super" && o.scope != "public" {
				who = []option{as(hotel)}
			}
			if o.id == "OpenWithPin" {
				o.body = `{"pin":"` + s.newPIN() + `"}`
			}
			if body, ok := whole[o.id]; ok {
				o.body = body
			}
			call := func(o *request, who ...option) *answer {
				return s.call(o.method, o.path, o.body, append(who, named("n1"))...)
			}
			isOpen := strings.HasPrefix(o.id, "Open")

			if o.scope != "super" && !isOpen {
				stranger := call(&o, as(hostel)) // takes nothing away from the hotel, which may use the same name
				require.Empty(t, stranger.header.Get("Idempotent-Replayed"))
			}
			first := call(&o, who...)
			require.Less(t, first.status, http.StatusBadRequest, first.body)
			require.Empty(t, first.header.Get("Idempotent-Replayed"))
			once := s.happened()

			for range 2 {
				again := call(&o, who...)
				if field, is := secret[o.id]; is {
					told := again.requireError(http.StatusConflict, "secret-told-before")
					require.NotEmpty(t, told[field])
				} else {
					require.Equal(t, first.status, again.status, again.body)
					require.Equal(t, first.body, again.body)
					require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
				}
				require.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
				require.Equal(t, once, s.happened(), "it was carried out again")
				o.documents(t, again.status)
			}
			if o.scope != "super" && !isOpen {
				require.NotEqual(t, http.StatusUnprocessableEntity, call(&o, as(hostel)).status)
				once = s.happened()
			}

			other := o
			if make, ok := elsewhere[o.id]; ok {
				other = make(s)
				once = s.happened()
			} else {
				require.NotEmpty(t, others[o.id], "%s needs another body in others, or another request in elsewhere", o.id)
				other.body = others[o.id]
			}
			a := call(&other, who...)
			a.requireError(http.StatusUnprocessableEntity, "idempotency-key-reused")
			o.documents(t, a.status)
			require.Equal(t, once, s.happened(), "a name was good for another request")
		})
	}
}

// operation is one of the document's, about the things of this estate.
func (s *server) operation(id string) request {
	s.t.Helper()
	for _, o := range s.operations() {
		if o.id == id {
			return o
		}
	}
	s.t.Fatalf("there is no operation %s", id)
	return request{}
}

// withTableOfKeys gives lock 42 a device that keeps keys, and obeys.
func (s *server) withTableOfKeys() {
	s.t.Helper()
	s.kernel.mu.Lock()
	s.kernel.answerKey = func(id lock.CommandID) *lock.AnswerKey { return &lock.AnswerKey{CommandID: id, Done: true} }
	s.kernel.mu.Unlock()
	require.NoError(s.t, s.kernel.connect(42, opens))
}
