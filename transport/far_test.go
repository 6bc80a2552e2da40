package transport_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

// An open of another node may have been under way for long. What is left of its deadline counts from its arrival, which is
// too long; what the grain has worked out on the device's own clock holds.
func TestTheEarlierDeadlineCounts(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect() // its clock shows 1,000
	for _, bound := range []int64{4000, 1_000_000} {
		e := sendOpen(b.session(), "c1", 5*time.Second)
		e.NotAfterMono = bound
		b.hub.Send(lockID, e)
		_, open := c.readOpen()
		if bound == 4000 {
			require.EqualValues(t, bound, open.NotAfterMono)
		} else {
			require.InDelta(t, 1000+5000, open.NotAfterMono, 3000)
		}
	}
	// The first one was further off than drift explains, so the grain is told what the device's clock shows now.
	k := awaitTold[*lock.KeepDevice](t, b.grains)
	require.EqualValues(t, 1000, k.Device.Clock.Mono)
	require.Len(t, tellings[*lock.KeepDevice](b.grains), 1)
}

// Past its end on the device's clock nothing is sent, however much time seems to be left.
func TestAnOpenThatWasUnderWayForTooLongIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	e := sendOpen(b.session(), "late", 5*time.Second)
	e.NotAfterMono = 999
	b.hub.Send(lockID, e)
	a := awaitTold[*lock.AnswerOpen](t, b.grains)
	require.Equal(t, wire.CodeExpired, a.Code)
	require.Equal(t, lock.NotExecuted, a.Executed)
	awaitTold[*lock.KeepDevice](t, b.grains) // if the grain was wrong, it is right the next time
	b.hub.Send(lockID, sendOpen(b.session(), "good", 5*time.Second))
	_, open := c.readOpen()
	require.Equal(t, "good", open.CommandID)
}

// A session says after which events it hands over the next ones, so that what gets lost in between is missed.
func TestEventsAreInARow(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect() // all up to 9 are known
	for i, frame := range []struct {
		items string
		after uint64
	}{
		{`{"seq":10,"type":"door","value":"open"},{"seq":12,"type":"door","value":"open"}`, 9},
		{`{"seq":13,"type":"door","value":"open"}`, 12},
		{`{"seq":12,"type":"door","value":"open"},{"seq":13,"type":"door","value":"open"}`, 0}, // again
		{`{"seq":14,"type":"door","value":"open"}`, 13},
		{``, 0},
	} {
		c.write(`[2,"e","Events",{"items":[` + frame.items + `]}]`)
		if frame.items == `` {
			require.Equal(t, wire.Error, c.read().Kind) // there must be one at least
			continue
		}
		require.Eventually(t, func() bool { return len(tellings[*lock.ReportEvents](b.grains)) == i+1 }, patient, time.Millisecond)
		require.Equal(t, frame.after, tellings[*lock.ReportEvents](b.grains)[i].After, frame.items)
	}
}
