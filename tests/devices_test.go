package tests

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
)

// Devices in tests come back fast, or a test would mostly wait for them.
var fastBackoff = sim.Backoff{Min: 50 * time.Millisecond, Max: 400 * time.Millisecond, Rejected: 200 * time.Millisecond}

// provision creates locks 1 to n with their secrets.
func (s *server) provision(t *testing.T, n int) []sim.Credential {
	t.Helper()
	locks, err := sim.Provision(t.Context(), sim.ProvisionOptions{Server: s.url, SuperKey: s.superKey, Count: n, Client: s.web})
	require.NoError(t, err)
	creds := make([]sim.Credential, n)
	for i, l := range locks {
		creds[i] = l.Credential
	}
	return creds
}

// device makes a device that is switched off. Its options may be changed first.
func (s *server) device(t *testing.T, c sim.Credential, change ...func(*sim.DeviceOptions)) *sim.Device {
	t.Helper()
	o := sim.DeviceOptions{
		Servers: []string{s.url}, Backoff: fastBackoff, BootTime: 100 * time.Millisecond, Recorder: s.motors,
		Motor: sim.MotorOptions{Relock: 200 * time.Millisecond},
	}
	for _, f := range change {
		f(&o)
	}
	d, err := sim.NewDevice(c, o)
	require.NoError(t, err)
	t.Cleanup(d.Stop)
	return d
}

// connect switches a device on and waits until it has a session.
func connect(t *testing.T, d *sim.Device) {
	t.Helper()
	d.Start()
	awaitSession(t, d, "")
}

// awaitSession waits until a device has a session other than the one named.
func awaitSession(t *testing.T, d *sim.Device, other string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := d.WaitSession(ctx, other)
	require.NoError(t, err)
}

// travels makes a device's motor take a while.
func travels(d time.Duration) func(*sim.DeviceOptions) {
	return func(o *sim.DeviceOptions) { o.Motor.Travel = d }
}

// staysAway makes a device that was replaced not come back, even the first time.
func staysAway(o *sim.DeviceOptions) { o.Backoff = sim.Backoff{Min: time.Hour, Max: time.Hour} }

// behind makes a device reach the server through a proxy.
func behind(p *sim.Proxy) func(*sim.DeviceOptions) {
	return func(o *sim.DeviceOptions) { o.Servers = []string{"http://" + p.Addr()} }
}

// newProxy is a bad network in front of the server.
func (s *server) newProxy(t *testing.T) *sim.Proxy {
	t.Helper()
	p, err := sim.NewProxy(s.url[len("http://"):])
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

func credential(id int64, device, secret string) sim.Credential {
	return sim.Credential{LockID: id, LockUUID: device, Secret: secret}
}
