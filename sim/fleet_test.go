package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
)

func TestProvisionMakesLocksAndFindsThemAgain(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.busy = 3
	o := sim.ProvisionOptions{
		Server: a.http.URL + "/", SuperKey: superKey, Count: 20, FirstID: 100, OrgID: "acme",
		TempKey: &sim.TempKeyOptions{MaxUses: 5, Validity: time.Hour},
	}
	first, err := sim.Provision(within(t), o)
	require.NoError(t, err)
	require.Len(t, first, 20)
	require.Equal(t, int64(119), first[19].LockID)
	require.Equal(t, sim.LockUUID(119), first[19].LockUUID)
	require.Equal(t, a.http.URL+"/temp-keys/"+first[19].TempKeyUUID, first[19].Link)
	require.Equal(t, "acme", a.orgs["119"])
	require.Len(t, a.keys, 20)
	require.Equal(t, 5.0, a.keys[0]["maxUses"])
	require.Equal(t, "public", a.keys[0]["accessMode"])

	o.TempKey = nil
	second, err := sim.Provision(within(t), o)
	require.NoError(t, err)
	for i := range second {
		require.Equal(t, first[i].LockUUID, second[i].LockUUID)
		require.Empty(t, second[i].Link)
	}
	require.Len(t, a.locks, 20)
}

func TestProvisionDoesNotTouchForeignLocks(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.locks["2"] = testUUID
	_, err := sim.Provision(within(t), sim.ProvisionOptions{Server: a.http.URL, SuperKey: superKey, Count: 3})
	require.ErrorContains(t, err, "lock 2")
	require.ErrorContains(t, err, testUUID)
	require.Empty(t, a.secretOf(testUUID))

	_, err = sim.Provision(within(t), sim.ProvisionOptions{Server: a.http.URL, SuperKey: "wrong", Count: 1})
	require.ErrorContains(t, err, "401 no-credentials: who are you?")
}

func TestCredentialsFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "credentials")
	list := []sim.Credential{{LockID: 1, LockUUID: testUUID, Secret: "a"}, {LockID: 2, LockUUID: sim.LockUUID(2), Secret: "b"}}
	require.NoError(t, sim.WriteCredentials(path, list))
	got, err := sim.ReadCredentials(path)
	require.NoError(t, err)
	require.Equal(t, list, got)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	appendTo(t, path, `{"lockId":3}`)
	_, err = sim.ReadCredentials(path)
	require.ErrorContains(t, err, "entry 3")
}

func TestRunSimulatesUntilItIsEnded(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	dir := t.TempDir()
	var out lines
	started := make(chan *sim.Fleet, 1)
	run := func(o sim.Options) (stop func() error) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		o.Servers, o.Output, o.Progress = []string{a.http.URL}, &out, time.Millisecond
		o.Record, o.Flash = filepath.Join(dir, "record"), filepath.Join(dir, "flash")
		o.Started = func(f *sim.Fleet) { started <- f }
		go func() { done <- sim.Run(ctx, o) }()
		return func() error { cancel(); return recv(t, done) }
	}
	stop := run(sim.Options{
		SuperKey: superKey, Locks: 3, TempKeys: &sim.TempKeyOptions{}, WriteCredentials: filepath.Join(dir, "credentials"),
	})
	require.NoError(t, recv(t, started).WaitConnected(within(t), 3))
	c := a.next()
	require.Equal(t, "opened", c.open(c.order("c1")))
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "connected 3, opens 1") }, patience, time.Millisecond)
	require.NoError(t, stop())
	require.Equal(t, 3, strings.Count(out.String(), "/temp-keys/"))
	require.Contains(t, out.String(), "summary: 3 locks, connected 3, opens 1")

	var m sim.Movement
	record, err := os.ReadFile(filepath.Join(dir, "record"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(record, &m))
	require.Equal(t, "c1", m.CommandID)
	flash, err := os.ReadFile(filepath.Join(dir, "flash"))
	require.NoError(t, err)
	require.Contains(t, string(flash), `"c1"`)

	stop = run(sim.Options{Credentials: filepath.Join(dir, "credentials"), Locks: 2, MaxDriftPPM: 200, ConnectRate: 1000})
	require.NoError(t, recv(t, started).WaitConnected(within(t), 2))
	require.NoError(t, stop())
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]sim.Options{
		"name a server":  {SuperKey: superKey, Locks: 1},
		"give the super": {Servers: []string{"http://x"}, Locks: 1},
		"give either":    {Servers: []string{"http://x"}, SuperKey: superKey, Credentials: "x"},
		"how many":       {Servers: []string{"http://x"}, SuperKey: superKey},
		"no such file":   {Servers: []string{"http://x"}, Credentials: filepath.Join(t.TempDir(), "x")},
		"trust":          {Servers: []string{"http://x"}, Credentials: "x", CAFile: filepath.Join(t.TempDir(), "x")},
		"temporary key":  {Servers: []string{"http://x"}, SuperKey: superKey, Locks: 1, TempKeys: &sim.TempKeyOptions{MaxUses: -1}},
	} {
		o.Output = io.Discard
		require.ErrorContains(t, sim.Run(within(t), o), want)
	}
}

func TestFleetStormsBack(t *testing.T) {
	t.Parallel()
	const devices = 300
	a := newAPI(t)
	locks, err := sim.Provision(within(t), sim.ProvisionOptions{Server: a.http.URL, SuperKey: superKey, Count: devices})
	require.NoError(t, err)
	creds := make([]sim.Credential, devices)
	for i := range locks {
		creds[i] = locks[i].Credential
	}
	fleet, err := sim.NewFleet(creds, sim.FleetOptions{
		MaxDriftPPM: 100, ConnectRate: 5000,
		Device: sim.DeviceOptions{Servers: []string{a.http.URL}, Backoff: sim.Backoff{Min: 20 * time.Millisecond}},
	})
	require.NoError(t, err)
	t.Cleanup(fleet.Stop)
	require.NoError(t, fleet.Start(t.Context()))
	require.NoError(t, fleet.WaitConnected(within(t), devices))
	for _, d := range fleet.Devices() {
		require.True(t, d.DropSocket())
	}
	require.Eventually(t, func() bool { return fleet.Counts().Reconnects >= devices }, patience, time.Millisecond)
	require.NoError(t, fleet.WaitConnected(within(t), devices))
	require.NoError(t, fleet.SetFaults(sim.Faults{Refuse: "Jammed"}))
	require.Error(t, fleet.SetFaults(sim.Faults{Refuse: "Tired"}))
	require.Same(t, fleet.Devices()[4], fleet.Device(5))
	require.Zero(t, fleet.Recorder().Total())
}

func TestFleetThatIsEndedWhileItStarts(t *testing.T) {
	t.Parallel()
	creds := []sim.Credential{{LockID: 1, LockUUID: testUUID}, {LockID: 2, LockUUID: sim.LockUUID(2)}}
	fleet, err := sim.NewFleet(creds, sim.FleetOptions{ConnectRate: 0.001, Device: sim.DeviceOptions{Servers: []string{"http://127.0.0.1:1"}}})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.Error(t, fleet.Start(ctx))
	fleet.Stop()
	_, err = sim.NewFleet(append(creds, creds[0]), sim.FleetOptions{Device: sim.DeviceOptions{Servers: []string{"http://127.0.0.1:1"}}})
	require.ErrorContains(t, err, "twice")
}

// lines is an output that may be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
