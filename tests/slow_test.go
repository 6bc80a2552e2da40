package tests

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/internal/dose"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

const (
	cutOffWithin = 10 * time.Second // of a device that does not read
	slowerMost   = 1.10             // times as long the opens of others may take meanwhile
	sigmas       = 3                // of what chance does to the share of those that take longer

	othersLocks   = 24
	othersCallers = 4
	othersPause   = 10 * time.Millisecond // between two opens of a caller, on average
	crowdLasts    = 6 * time.Second       // of which the opens of others are measured
)

// crowdCalls are what a device asks for, second by second: no more than it may, but the answers do not fit into its window.
var crowdCalls = []int{wire.FrameBurst - 10, wire.FramesPerSec - 5, wire.FramesPerSec}

// Bar: devices stop reading while something is to be said to them. Each is cut off in time, and opens of other locks take as long as
// they would. How long that is, another server tells, to which the same happens at the same time except that its devices read: so
// whatever else the machine does happens to both. They take turns.
func TestSlowReadersHurtNobody(t *testing.T) {
	t.Parallel()
	devices, turns := dose.Of(50, 1000), dose.Of(2, 20)
	crowds := []*crowd{newCrowd(t, devices), newCrowd(t, devices)}
	day, evening := context.WithCancel(t.Context())
	var others errgroup.Group
	for range othersCallers {
		for _, c := range crowds {
			others.Go(func() error { return c.open(day, t.Context()) })
		}
	}
	var while [2][]time.Duration // its devices read, and do not
	for i := range turns {
		slow, calm := crowds[i%2], crowds[1-i%2]
		slow.begin(t, sim.Faults{SlowReader: true})
		calm.begin(t, sim.Faults{})
		from := time.Now()
		slow.opensToDevices(t)
		calm.opensToDevices(t)
		for _, calls := range crowdCalls {
			slow.callsOfDevices(t, calls)
			calm.callsOfDevices(t, calls)
			require.True(t, pause(t.Context(), time.Second))
		}
		slow.mustBeCutOff(t, from)
		require.True(t, pause(t.Context(), time.Until(from.Add(crowdLasts))))
		for i, c := range []*crowd{calm, slow} {
			while[i] = append(while[i], c.between(from, from.Add(crowdLasts))...)
		}
	}
	evening()
	require.NoError(t, others.Wait())
	t.Logf("opens of others: %d while %d devices read, p50 %s, p99 %s; %d while they do not, p50 %s, p99 %s",
		len(while[0]), devices, at100(while[0], 50), at100(while[0], 99), len(while[1]), at100(while[1], 50), at100(while[1], 99))
	for _, percent := range []int{50, 99} {
		require.LessOrEqual(t, slowedDown(while[0], while[1], percent, slowerMost), 0.0, "p%d", percent)
	}
	for _, c := range crowds {
		c.begin(t, sim.Faults{}) // all come back and read again
		c.s.conclude(t)
	}
}

// slowedDown is by how much more calls than chance explains took longer than so many times the percentile of others: not more than 0
// when their own is within that. A few thousand calls have a p99 that is off by more than a tenth now and then.
func slowedDown(calm, slow []time.Duration, percent int, times float64) float64 {
	limit := time.Duration(times * float64(at100(calm, percent)))
	longer := 0.0
	for _, took := range slow {
		if took > limit {
			longer++
		}
	}
	share, n := 1-float64(percent)/100, float64(len(slow))
	return longer/n - share - sigmas*math.Sqrt(share*(1-share)/n)
}

// crowd is a server, devices of it that may stop reading, and others that are good.
type crowd struct {
	s       *server
	devices []*sim.Device
	speech  errgroup.Group // opens that were sent to the devices

	mu    sync.Mutex
	opens []timing // of the others
}

func newCrowd(t *testing.T, devices int) *crowd {
	t.Helper()
	c := &crowd{s: newMeasuredServer(t)}
	all := make([]*sim.Device, 0, othersLocks+devices)
	for _, cred := range c.s.provision(t, cap(all)) {
		all = append(all, c.s.device(t, cred))
	}
	for _, d := range all {
		d.Start()
	}
	for _, d := range all {
		awaitSession(t, d, "")
	}
	c.devices = all[othersLocks:]
	return c
}

// open opens the others' doors until the day is over.
func (c *crowd) open(day, night context.Context) error {
	for pause(day, rand.N(2*othersPause)) {
		began := time.Now()
		a, err := c.s.openByRight(night, 1+rand.Int64N(othersLocks))
		if err != nil {
			return err
		}
		if a.status != http.StatusOK || a.said().Outcome != string(lock.Opened) {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		c.mu.Lock()
		c.opens = append(c.opens, timing{began, time.Since(began)})
		c.mu.Unlock()
	}
	return nil
}

// between is how long the others' opens took that began in a while.
func (c *crowd) between(from, to time.Time) (took []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range c.opens {
		if !o.at.Before(from) && o.at.Before(to) {
			took = append(took, o.took)
		}
	}
	return took
}

// begin has all devices connect anew, and read or not.
func (c *crowd) begin(t *testing.T, f sim.Faults) {
	t.Helper()
	require.NoError(t, c.speech.Wait())
	sessions := make([]string, len(c.devices))
	for i, d := range c.devices {
		sessions[i] = d.Session()
		require.NoError(t, d.SetFaults(f))
		d.DropSocket()
	}
	for i, d := range c.devices {
		awaitSession(t, d, sessions[i])
	}
}

// opensToDevices sends an open to each second device.
func (c *crowd) opensToDevices(t *testing.T) {
	t.Helper()
	for i := 0; i < len(c.devices); i += 2 {
		path := fmt.Sprintf("/locks/%d/OpenLock", c.devices[i].Credential().LockID)
		c.speech.Go(func() error {
			_, err := c.s.call(t.Context(), http.MethodPost, path, map[string]any{})
			return err
		})
	}
}

// callsOfDevices has the server answer calls of all other devices.
func (c *crowd) callsOfDevices(t *testing.T, calls int) {
	t.Helper()
	for i := 1; i < len(c.devices); i += 2 {
		for range calls {
			require.NoError(t, c.devices[i].SendRaw(websocket.TextMessage, wire.AppendCall(nil, uuid.NewString(), "NoSuchAction", wire.Empty{})))
		}
	}
}

// mustBeCutOff waits until only the others have a session.
func (c *crowd) mustBeCutOff(t *testing.T, since time.Time) {
	t.Helper()
	n := &node{server: c.s}
	require.Eventually(t, func() bool {
		sessions, ok := n.metric(t.Context(), "latchkey_transport_sessions")
		return ok && sessions == othersLocks
	}, time.Until(since.Add(cutOffWithin)), pollEvery, "some are still connected")
	t.Logf("%d devices that do not read are cut off within %s", len(c.devices), time.Since(since).Round(time.Millisecond))
}
