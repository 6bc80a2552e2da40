package sim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

func TestReconnectsWithFullJitter(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{})
	c := s.joined(d)
	bootID := d.BootID()
	for range 5 {
		require.True(t, d.DropSocket())
		recv(t, c.ended)
		c = s.joined(d)
		require.Equal(t, bootID, c.hello.BootID)
	}
	require.Equal(t, "opened", c.open(c.order("c1")))
}

func TestDrainingServerChoosesWhenTheDeviceComesBack(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.device(sim.DeviceOptions{Backoff: sim.Backoff{Min: time.Hour, Max: time.Hour}})
	c := s.next()
	at := time.Now()
	c.close(wire.CloseDraining, string((&wire.RetryAfter{Pause: 50 * time.Millisecond}).Append(nil)))
	s.next()
	require.GreaterOrEqual(t, time.Since(at), 50*time.Millisecond)
}

// Any other code would bring the device back within a millisecond.
var backAtOnce = sim.Backoff{Min: time.Millisecond, Max: time.Millisecond, Rejected: 200 * time.Millisecond, Replaced: 200 * time.Millisecond}

func TestCloseCodesThatKeepTheDeviceAway(t *testing.T) {
	t.Parallel()
	t.Run(strconv.Itoa(wire.CloseCredentials), func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		stats := new(sim.Stats)
		d := s.device(sim.DeviceOptions{Stats: stats, Backoff: backAtOnce})
		c := s.next()
		at := time.Now()
		c.close(wire.CloseCredentials, "")
		recv(t, c.ended)
		s.joined(d)
		require.GreaterOrEqual(t, time.Since(at), 100*time.Millisecond)
		require.Equal(t, int64(1), stats.Counts().Rejected)
	})
	t.Run(strconv.Itoa(wire.CloseReplaced), func(t *testing.T) {
		t.Parallel()
		s := newServer(t)
		stats := new(sim.Stats)
		soon := backAtOnce
		soon.Replaced = time.Hour
		d := s.device(sim.DeviceOptions{Stats: stats, Backoff: soon})
		c := s.joined(d)
		c.close(wire.CloseReplaced, "")
		recv(t, c.ended)
		c = s.joined(d) // the first one may be a race in the network
		c.close(wire.CloseReplaced, "")
		recv(t, c.ended)
		require.Eventually(t, func() bool { return stats.Counts().Replaced == 2 }, patience, time.Millisecond)
		select {
		case <-s.sessions:
			require.Fail(t, "somebody else has its credentials, and two devices throw each other out")
		case <-time.After(100 * time.Millisecond):
		}
	})
	for _, code := range []int{wire.CloseBadFrame, wire.CloseHeartbeat, wire.CloseRate} {
		t.Run(strconv.Itoa(code), func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			s.device(sim.DeviceOptions{})
			s.next().close(code, "")
			s.next()
		})
	}
}

// The device's own socket, which it has given up without a word from the server, may have taken over: that is no other device.
func TestADeviceThatReplacesItselfComesBack(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	soon := backAtOnce
	soon.Replaced = time.Hour
	d := s.device(sim.DeviceOptions{Backoff: soon})
	c := s.joined(d)
	d.DropSocket()
	recv(t, c.ended)
	for range 3 {
		c = s.joined(d)
		c.close(wire.CloseReplaced, "")
		recv(t, c.ended)
	}
	s.joined(d)
}

func TestRejectedCredentialsBackOffLong(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var attempts atomic.Int32
	s.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
		if attempts.Add(1) == 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		return false
	}
	stats := new(sim.Stats)
	at := time.Now()
	s.device(sim.DeviceOptions{Stats: stats, Backoff: sim.Backoff{Min: time.Millisecond, Max: time.Millisecond, Rejected: 200 * time.Millisecond}})
	s.next()
	require.GreaterOrEqual(t, time.Since(at), 100*time.Millisecond)
	require.Equal(t, int64(1), stats.Counts().Rejected)
}

func TestBusyServerChoosesWhenTheDeviceTriesAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var attempts atomic.Int32
	s.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
		if attempts.Add(1) == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	}
	at := time.Now()
	s.device(sim.DeviceOptions{Backoff: sim.Backoff{Min: time.Hour, Max: time.Hour}})
	s.next()
	require.GreaterOrEqual(t, time.Since(at), time.Second)
}

func TestGoesToTheNextServer(t *testing.T) {
	t.Parallel()
	gone, s := newServer(t), newServer(t)
	gone.http.Close()
	s.device(sim.DeviceOptions{Servers: []string{gone.http.URL, s.http.URL}})
	s.next()
}

func TestConnectsOverTLS(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.http.Close()
	s.http = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.http.Close)
	roots := s.http.Client().Transport.(*http.Transport).TLSClientConfig
	d := s.device(sim.DeviceOptions{TLS: roots})
	c := s.joined(d)
	require.Equal(t, "opened", c.open(c.order("c1")))
	d.Reboot(false)
	recv(t, c.ended)
	s.joined(d)
}

func TestHeartbeatsCarryTheClock(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.greeting.HeartbeatMs = 10
	d := s.device(sim.DeviceOptions{})
	c := s.next()
	last := c.hello.Mono
	for range 3 {
		mono := recv(t, c.beats)
		require.Greater(t, mono, last)
		require.LessOrEqual(t, mono, d.Mono())
		last = mono
	}
}

func TestGivesUpAServerThatAnswersNoHeartbeats(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.greeting.HeartbeatMs, s.deaf = 5, true
	s.device(sim.DeviceOptions{})
	c := s.next()
	recv(t, c.ended)
	s.next()
}

func TestEventsAreKeptUntilTheyAreAcknowledged(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.keep = true
	d := s.device(sim.DeviceOptions{})
	c := s.joined(d)
	d.OpenByHand()
	d.Report("tamper", "cover")
	c.seesAmong("manual-open=inside")
	d.DropSocket()
	c = s.joined(d)
	require.Equal(t, uint64(3), c.hello.LastSeq)
	c.sees("manual-open=inside", "bolt=unlocked", "tamper=cover")
	s.set(func() { s.keep, s.greeting.AckSeq = false, 2 })
	d.DropSocket()
	c = s.next()
	require.Equal(t, uint64(3), recv(t, c.events).Seq, "the server said in its greeting that it has the first two")
	d.Report("rssi", "-60")
	require.Equal(t, uint64(4), recv(t, c.events).Seq)
}

func TestEventsAreSentAgainWhenTheAnswerStaysAway(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.keep, s.greeting.HeartbeatMs = true, 10
	d := s.device(sim.DeviceOptions{})
	c := s.joined(d)
	d.Report("tamper", "cover")
	c.seesAmong("tamper=cover")
	c.seesAmong("tamper=cover")
	require.Equal(t, c.name, d.Session())
}

func TestServerThatKnowsMoreEventsThanTheFlash(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.greeting.AckSeq = 40
	d := s.device(sim.DeviceOptions{})
	d.Report("rssi", "-60")
	c := s.next()
	require.Equal(t, uint64(41), recv(t, c.events).Seq)
}

// A device that has served another lock counts from where that one was. A fresh lock would not follow it there for ever.
func TestServerThatCannotFollowTheNumbersOfTheEvents(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flash")
	appendTo(t, path, `{"lock":"`+testUUID+`","acked":2000000}`+"\n")
	s := newServer(t)
	s.keep = true
	reported := make(chan struct{}) // before the first Hello
	s.refuse = func(http.ResponseWriter, *http.Request) bool { <-reported; return false }
	for life := range 3 {
		flashes, err := sim.OpenFlashFile(path)
		require.NoError(t, err)
		if life == 2 {
			s.set(func() { s.keep, s.greeting.AckSeq = false, 2 })
		}
		d := s.device(sim.DeviceOptions{Flash: flashes.Flash(testUUID)})
		switch life {
		case 0:
			d.Report("rssi", "-60")
			d.Report("tamper", "cover")
			close(reported)
			c := s.joined(d)
			require.EqualValues(t, 2_000_002, c.hello.LastSeq)
			require.EqualValues(t, 1, recv(t, c.events).Seq, "in their order, after what the server has")
			require.EqualValues(t, 2, recv(t, c.events).Seq)
		case 1: // the flash remembers it
			require.EqualValues(t, 2, s.joined(d).hello.LastSeq)
			s.set(func() { s.greeting.AckSeq = 1 })
			d.DropSocket()
			c := s.joined(d)
			require.EqualValues(t, 2, recv(t, c.events).Seq, "what is acknowledged is forgotten by its new number")
		case 2:
			c := s.joined(d)
			d.Report("rssi", "-61")
			require.EqualValues(t, 3, recv(t, c.events).Seq)
		}
		d.Stop()
		require.NoError(t, flashes.Close())
	}
}

func TestAMillionAheadIsNotTooFar(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "flash")
	appendTo(t, path, fmt.Sprintf(`{"lock":%q,"acked":%d}`+"\n", testUUID, wire.MaxSeqAhead))
	flashes, err := sim.OpenFlashFile(path)
	require.NoError(t, err)
	s := newServer(t)
	d := s.device(sim.DeviceOptions{Flash: flashes.Flash(testUUID)})
	require.EqualValues(t, wire.MaxSeqAhead, s.joined(d).hello.LastSeq)
	d.DropSocket()
	require.EqualValues(t, wire.MaxSeqAhead, s.joined(d).hello.LastSeq)
	d.Stop()
	require.NoError(t, flashes.Close())
}

// A server that does not take an event is not asked again at once: that would end with 4429.
func TestWhatWasNotTakenWaitsForTheHeartbeat(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.stingy, s.greeting.HeartbeatMs = true, 600
	d := s.device(sim.DeviceOptions{})
	c := s.joined(d)
	d.Report("tamper", "cover")
	recv(t, c.events)
	sent := 1
	for beat := false; !beat; {
		d.Report("rssi", "-60") // nor is it sent again with what comes after it
		select {
		case <-c.events:
			select {
			case <-c.beats: // it came before the event, and both were there when this looked
				beat = true
			default:
				sent++
			}
		case <-c.beats:
			beat = true
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.Equal(t, 1, sent)
	c.seesAmong("tamper=cover")
}

func TestOldSocketThatHealsOpensNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.greeting.HeartbeatMs = 200
	d := s.device(sim.DeviceOptions{})
	old := s.joined(d)
	p := old.order("c1")
	s.set(func() { s.greeting.HeartbeatMs = 60_000 })
	require.True(t, d.HalfOpen(0))
	id := old.post(wire.ActionOpen, &p)
	fresh := s.joined(d) // two heartbeats went without an answer
	require.NotEqual(t, old.name, fresh.name)
	require.Equal(t, wire.StatusNotSeen, fresh.status("c1"))
	d.Heal()
	require.Equal(t, "StaleSession false", old.answer(id, "c1"), "the old socket is still read, and still answered")
	require.Empty(t, d.Movements())
	require.Equal(t, fresh.name, d.Session())
	old.close(wire.CloseReplaced, "")
	recv(t, old.ended)
	require.Equal(t, "opened", fresh.open(fresh.order("c2")))
	require.Equal(t, fresh.name, d.Session(), "the end of the old socket does not end the new session")
}

func TestSocketThatHealsInTimeStillRefusesALateOpen(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{})
	c := s.joined(d)
	require.True(t, d.HalfOpen(80*time.Millisecond))
	p := c.order("c1")
	p.NotAfterMono = d.Mono() + 40
	require.Equal(t, "Expired false", c.open(p))
	require.Equal(t, "opened", c.open(c.order("c2")))
	require.Len(t, d.Movements(), 1)
}

func TestSlowReaderClosesItsWindow(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.greeting.HeartbeatMs = 5
	d := s.device(sim.DeviceOptions{Faults: sim.Faults{SlowReader: true}})
	c := s.joined(d)
	c.writing.Lock()
	_ = c.ws.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	c.writing.Unlock()
	filler := wire.AppendResult(nil, "x", wire.Statuses{"a": string(make([]byte, 8<<10))})
	require.Eventually(t, func() bool { return c.write(filler) != nil }, patience, time.Microsecond)
	recv(t, c.beats) // it still sends
	require.True(t, d.Connected())
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	d := s.device(sim.DeviceOptions{Faults: sim.Faults{GarbageEvery: time.Millisecond}})
	c := s.joined(d)
	recv(t, c.raw)
	require.NoError(t, d.SetFaults(sim.Faults{}))
	require.NoError(t, d.SendRaw(websocket.BinaryMessage, []byte("\x00\x01")))
	require.Eventually(t, func() bool { return string(recv(t, c.raw)) == "\x00\x01" }, patience, time.Microsecond)
	require.Equal(t, "opened", c.open(c.order("c1")))
}

func TestAccidentsHappenAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	stats := new(sim.Stats)
	d := s.device(sim.DeviceOptions{Stats: stats, Faults: sim.Faults{DropEvery: 10 * time.Millisecond, RebootEvery: 15 * time.Millisecond, HalfOpenEvery: 20 * time.Millisecond, HalfOpenFor: time.Millisecond}})
	for range 10 {
		s.next()
	}
	require.Positive(t, stats.Counts().Reboots)
	require.NoError(t, d.SetFaults(sim.Faults{}))
	_, err := d.WaitSession(within(t), "")
	require.NoError(t, err)
}
