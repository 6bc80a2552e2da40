package tests

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

// keysAndPeople calls each operation about permanent keys, residents and the directory, with good and with bad input. The lock has a
// device that keeps keys, and the permanent key k1.
func keysAndPeople(t *testing.T, do func(status int, method, path string, body any) *answer) {
	const post, get = http.MethodPost, http.MethodGet
	type object = map[string]any
	do(200, post, "/locks/1/AddKey", object{"keyUuid": "k2", "keyIndexNumber": 4, "userId": "ann"})
	do(409, post, "/locks/1/AddKey", object{"keyUuid": "k2", "keyIndexNumber": 5})
	do(400, post, "/locks/1/AddKey", object{"keyUuid": ""})
	do(404, post, "/locks/2/AddKey", object{"keyUuid": "k2"})
	do(200, post, "/locks/1/WriteKey", object{"keyUuid": "k1"})
	do(404, post, "/locks/1/WriteKey", object{"keyUuid": "k9"})
	do(400, post, "/locks/1/WriteKey", object{"keyIndexNumber": 4})
	do(200, post, "/locks/1/RemoveKey", object{"keyIndexNumber": 4})
	do(404, post, "/locks/1/RemoveKey", object{"keyUuid": "k2"})
	do(400, post, "/locks/1/RemoveKey", object{})
	var job struct{ InstanceID string }
	require.NoError(t, json.Unmarshal([]byte(do(200, post, "/locks/1/BulkAddKeys", object{"keys": []any{object{"keyUuid": "k3"}, object{"keyUuid": "k1"}}}).body), &job))
	do(400, post, "/locks/1/BulkAddKeys", object{"keys": []any{}})
	var progress struct{ Status string }
	require.Eventually(t, func() bool {
		require.NoError(t, json.Unmarshal([]byte(do(200, get, "/locks/1/BulkAddKeys/"+job.InstanceID, nil).body), &progress))
		return progress.Status == "ended"
	}, patience, 20*time.Millisecond)
	do(404, get, "/locks/1/BulkAddKeys/"+uuid.NewString(), nil)

	do(200, post, "/locks/1/AddResident", object{"name": "Ann", "email": "ann@example.org", "phoneNumber": "+49 30 901820"})
	do(200, post, "/locks/1/AddResident", object{"name": "Bob", "userId": "bob"})
	do(400, post, "/locks/1/AddResident", object{"name": "Nobody"})
	do(404, post, "/locks/2/AddResident", object{"name": "Ann", "email": "ann@example.org"})
	do(200, get, "/locks/1/residents", nil)
	do(404, get, "/locks/2/residents", nil)
	do(200, post, "/locks/1/RemoveResident", object{"email": "ann@example.org"})
	do(404, post, "/locks/1/RemoveResident", object{"userId": "carol"})
	do(400, post, "/locks/1/RemoveResident", object{})
	do(201, post, "/users/by-email", object{"email": "carol@example.org"})
	do(200, get, "/users/by-email?email=carol@example.org", nil)
	do(400, get, "/users/by-email?email=nonsense", nil)

	do(200, post, "/locks/1/SetConfig", object{"relockMs": 4000})
	do(400, post, "/locks/1/SetConfig", object{"relockMs": 1})
}

// replaced gives the lock another device, in the end.
func replaced(do func(status int, method, path string, body any) *answer) {
	change := func(status int, id, to string) *answer {
		return do(status, http.MethodPost, "/locks/"+id+"/ChangeLockUuid", map[string]any{"newUuid": to})
	}
	change(200, "1", uuid.NewString())
	change(400, "1", "nonsense")
}

// key changes a permanent key of the lock, and tells what the device has of it.
func (s *server) key(t *testing.T, status int, action, body string) string {
	t.Helper()
	var said struct {
		OnDevice string
		Reason   string
	}
	require.NoError(t, json.Unmarshal([]byte(s.must(t, status, http.MethodPost, "/locks/1/"+action, json.RawMessage(body)).body), &said))
	return said.OnDevice + said.Reason
}

// online tells whether the lock has a session.
func (s *server) online(t *testing.T, id int64) bool {
	t.Helper()
	var info struct{ Online bool }
	require.NoError(t, json.Unmarshal([]byte(s.must(t, 200, http.MethodGet, fmt.Sprintf("/locks/%d/basic-info", id), nil).body), &info))
	return info.Online
}

func uuidsOf(d *sim.Device) (all []string) {
	for _, k := range d.Keys() {
		all = append(all, k.UUID)
	}
	return all
}

// The list and the device's table are the same, whatever the device does in between.
func TestPermanentKeysReachTheDevice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	l := s.provision(t, 1)[0]
	require.Equal(t, "no", s.key(t, 200, "AddKey", `{"keyUuid":"card-1"}`), "without a device it is a record")
	require.Equal(t, "device-offline", s.key(t, 502, "WriteKey", `{"keyUuid":"card-1"}`))
	d := s.device(t, l)
	connect(t, d)
	require.Empty(t, d.Keys())
	require.Equal(t, "yes", s.key(t, 200, "WriteKey", `{"keyUuid":"card-1"}`))
	require.Equal(t, "yes", s.key(t, 200, "AddKey", `{"keyUuid":"card-2","keyIndexNumber":2}`))
	require.Equal(t, []string{"card-1", "card-2"}, uuidsOf(d))

	require.NoError(t, d.SetFaults(sim.Faults{RefuseKeys: wire.CodeNoSpace}))
	require.Equal(t, "no-space", s.key(t, 502, "AddKey", `{"keyUuid":"card-3"}`))
	require.Equal(t, "no-space", s.key(t, 502, "RemoveKey", `{"keyUuid":"card-2"}`))

	// It obeys and its answer is lost: the caller hears that nobody knows, and the device is asked when it is back.
	require.NoError(t, d.SetFaults(sim.Faults{SilentKeys: true}))
	session := d.Session()
	require.Equal(t, "outcome-unknown", s.key(t, 504, "AddKey", `{"keyUuid":"card-4"}`))
	require.NoError(t, d.SetFaults(sim.Faults{}))
	_, err := d.WaitSession(t.Context(), session)
	require.NoError(t, err)
	list := func() (all []string) {
		var details struct {
			Keys []struct{ UUID, OnDevice string }
		}
		require.NoError(t, json.Unmarshal([]byte(s.must(t, 200, http.MethodGet, "/locks/1/details", nil).body), &details))
		for _, k := range details.Keys {
			require.Equal(t, "yes", k.OnDevice, k.UUID)
			all = append(all, k.UUID)
		}
		return all
	}
	require.Eventually(t, func() bool { return len(list()) == 3 }, patience, 20*time.Millisecond)
	require.Equal(t, list(), uuidsOf(d))

	d.Stop()
	require.Eventually(t, func() bool { return !s.online(t, 1) }, patience, 20*time.Millisecond)
	require.Equal(t, "device-offline", s.key(t, 502, "RemoveKey", `{"keyUuid":"card-1"}`))
	require.Equal(t, "device-offline", s.key(t, 502, "AddKey", `{"keyUuid":"card-5"}`))
	require.Len(t, list(), 3)
}

// Bar: a device that loses its power anywhere in a change of its table has no key that is in no list, and none that cannot be removed.
func TestDeviceRebootsInTheMiddleOfAChangeOfItsTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at     sim.RebootPoint
		status int
		said   string
		listed string // "": it is not
		has    bool
	}{
		{sim.RebootBeforeJournal, 502, "not-seen", "", false},
		{sim.RebootBeforeMotor, 504, "outcome-unknown", "maybe", false},
		{sim.RebootBeforeEnd, 504, "outcome-unknown", "maybe", true},
		{sim.RebootBeforeAnswer, 200, "yes", "yes", true},
	} {
		t.Run(string(c.at), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			d := s.device(t, s.provision(t, 1)[0])
			connect(t, d)
			require.NoError(t, d.SetFaults(sim.Faults{RebootKeys: c.at}))
			require.Equal(t, c.said, s.key(t, c.status, "AddKey", `{"keyUuid":"card-1"}`))
			require.NoError(t, d.SetFaults(sim.Faults{}))
			awaitSession(t, d, "")
			require.Equal(t, c.has, len(d.Keys()) > 0)
			require.Equal(t, c.listed, s.onDevice(t, "card-1"))
			if c.listed == "" {
				s.key(t, 404, "RemoveKey", `{"keyUuid":"card-1"}`)
				return
			}
			s.key(t, 200, "RemoveKey", `{"keyUuid":"card-1"}`)
			require.Empty(t, d.Keys())
			require.Empty(t, s.onDevice(t, "card-1"))
		})
	}
}

// onDevice tells what lock 1 says of one of its permanent keys, and "" when it has no such key.
func (s *server) onDevice(t *testing.T, key string) string {
	t.Helper()
	var details struct {
		Keys []struct{ UUID, OnDevice string }
	}
	require.NoError(t, json.Unmarshal([]byte(s.must(t, 200, http.MethodGet, "/locks/1/details", nil).body), &details))
	for _, k := range details.Keys {
		if k.UUID == key {
			return k.OnDevice
		}
	}
	return ""
}

// A device that was replaced is out: its session, its secret, and its word.
func TestAReplacedDeviceIsOut(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	l := s.provision(t, 1)[0]
	d := s.device(t, l)
	connect(t, d)
	require.Equal(t, "yes", s.key(t, 200, "AddKey", `{"keyUuid":"card-1"}`))
	next := uuid.NewString()
	s.must(t, 200, http.MethodPost, "/locks/1/ChangeLockUuid", map[string]any{"newUuid": next})
	require.Eventually(t, func() bool { return !d.Connected() && !s.online(t, 1) }, patience, 20*time.Millisecond)
	require.Equal(t, "no", s.key(t, 200, "AddKey", `{"keyUuid":"card-2"}`), "the new device was told of nothing")

	// Whoever comes with the old credentials, for the old UUID or the new one, is refused.
	for _, cred := range []sim.Credential{l, {LockID: 1, LockUUID: next, Secret: l.Secret}} {
		stats := new(sim.Stats)
		late := s.device(t, cred, func(o *sim.DeviceOptions) { o.Stats = stats })
		late.Start()
		require.Eventually(t, func() bool { return stats.Counts().Rejected > 0 }, patience, 10*time.Millisecond)
		late.Stop()
	}
	fresh := s.device(t, credential(1, next, s.must(t, 200, http.MethodPost, "/locks/1/RotateDeviceSecret", map[string]any{}).said().Secret))
	connect(t, fresh)
	require.Equal(t, "yes", s.key(t, 200, "WriteKey", `{"keyUuid":"card-1"}`))
	require.Equal(t, []string{"card-1"}, uuidsOf(fresh))
	require.Equal(t, string(lock.Opened), s.must(t, 200, http.MethodPost, "/locks/1/OpenLock", map[string]any{}).said().Outcome)
}
