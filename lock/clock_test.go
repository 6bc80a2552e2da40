package lock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The device's clock said mono when ours said at. The true instant of that reading was earlier by the uplink's delay, so a
// deadline on the device's clock may come early by the delay and by what the clock may have drifted, and never late.
func TestDeadlineOnTheDevicesClock(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for _, c := range []struct {
		name     string
		mono     int64
		deadline time.Duration // after at
		want     int64
	}{
		{"open right after the heartbeat", 842_000, 5 * time.Second, 846_999},
		{"open 20 s after the heartbeat", 842_000, 25 * time.Second, 866_995},
		{"part of a millisecond is not given", 842_000, 5*time.Second + 999*time.Microsecond, 846_999},
		{"device that has just booted", 0, 5 * time.Second, 4_999},
		{"clock that came in after the open was made", 842_000, 4 * time.Second, 845_999},
		{"deadline before the reading", 842_000, -time.Second, 840_999},
		{"deadline a bit before the reading", 842_000, -time.Microsecond, 841_999},
		{"deadline before the boot", 100, -time.Second, 1},
	} {
		require.Equal(t, c.want, Clock{c.mono, at}.NotAfter(at.Add(c.deadline)), c.name)
	}
	require.Zero(t, Clock{}.bound(at))
	require.EqualValues(t, 5, Clock{5, at}.bound(at))
}

// However long a reading is under way and however old it gets, on one node or handed on to others, the motor of a device that drifts
// by 200 ppm never starts after the deadline.
func TestDeadlineIsNeverLate(t *testing.T) {
	t.Parallel()
	boot := time.Now()
	rapid.Check(t, func(t *rapid.T) {
		drift := 1 + float64(rapid.IntRange(-200, 200).Draw(t, "ppm"))/1e6
		shows := func(at time.Time) float64 { return float64(at.Sub(boot)) * drift / float64(time.Millisecond) }
		duration := func(name string, most time.Duration) time.Duration {
			return time.Duration(rapid.Int64Range(0, int64(most)).Draw(t, name))
		}
		sent := boot.Add(time.Minute + duration("up", 24*time.Hour))
		clock := Clock{Mono: int64(shows(sent)), At: sent.Add(duration("uplink", 10*time.Second))}
		for range rapid.IntRange(0, 3).Draw(t, "nodes") {
			leaves := clock.At.Add(duration("age", time.Hour))
			clock = Clock{Mono: clock.NotAfter(leaves), At: leaves.Add(duration("under way", time.Minute))}
		}
		deadline := clock.At.Add(duration("left", time.Hour))
		if last := clock.NotAfter(deadline); last > 1 {
			require.LessOrEqual(t, float64(last), shows(deadline))
		}
	})
}

// An open that was held by one node is sent by a second, and a third takes over while it may be on the wire. However wrong the first
// node's clock was, the third revokes its key, and gives up waiting for its answer, only when the motor cannot move any more.
func TestAHeldOpenOverThreeClocks(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-10 * time.Minute, -20 * time.Second, 0, 5 * time.Second, 20 * time.Second, 10 * time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			t.Parallel()
			var stream []Event
			decide := func(s *State, c Command, now time.Time) Decision {
				d, err := Decide(s, c, now)
				require.NoError(t, err)
				for _, e := range d.Events {
					Evolve(s, e)
					if Journaled(e) {
						stream = append(stream, e)
					}
				}
				return d
			}
			takeOver := func(now time.Time) *State {
				s := new(State)
				for _, e := range stream {
					Evolve(s, e)
				}
				Activate(s, now)
				return s
			}
			by := Caller{OrgID: "org-1"}
			first, theirs := new(State), noon.Add(skew)
			decide(first, &CreateLock{By: by, ID: 1, UUID: UUID(name(1)), Index: 1}, theirs)
			decide(first, &CreateTempKey{By: by, UUID: name(2), AccessMode: Public, ValidFrom: noon.Add(-time.Hour), ValidUntil: noon.Add(time.Hour)}, theirs)
			decide(first, &OpenWithTempKey{TempKeyID: name(2), RequestID: "r", CommandID: "c", Lifetime: MaxLifetime, Hold: MaxHold}, theirs)

			second := takeOver(noon.Add(time.Second))
			d := decide(second, &ConnectDevice{Device: Device{Session: Session{Node: "b", ID: 1}, BootID: "b1", Deadline: true, Journal: true}}, noon.Add(2*time.Second))
			var sent []*SendOpen
			for _, e := range d.Effects {
				if open, ok := e.(*SendOpen); ok {
					sent = append(sent, open)
				}
			}
			if skew < -MaxHold {
				require.Empty(t, sent, "its time is over, as far as the second node knows")
				return
			}
			require.Len(t, sent, 1)

			third := takeOver(noon.Add(3 * time.Second))
			end, ok := NextDeadline(third)
			require.True(t, ok)
			require.True(t, end.After(sent[0].NotAfter), "no answer is expected %s too early", sent[0].NotAfter.Sub(end))
			d = decide(third, &DeleteTempKey{By: by, TempKeyID: name(2)}, noon.Add(4*time.Second))
			require.Len(t, d.SafeAfter, 1)
			require.True(t, d.SafeAt.After(sent[0].NotAfter), "acknowledged %s too early", sent[0].NotAfter.Sub(d.SafeAt))
		})
	}
}
