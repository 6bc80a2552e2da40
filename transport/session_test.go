package transport_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

func (g *grains) session() lock.Session {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.newest
}

func sendOpen(s lock.Session, id lock.CommandID, lifetime time.Duration) *lock.SendOpen {
	return &lock.SendOpen{Session: s, CommandID: id, BootID: "b7", Epoch: 6, NotAfter: time.Now().Add(lifetime)}
}

func TestHelloIsGreeted(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	seen := make(chan *lock.ConnectDevice, 1)
	b.grains.connect = func(c *lock.ConnectDevice) (lock.Reply, error) {
		seen <- c
		return &lock.Greeting{Epoch: 1042, AckSeq: 409, Resolve: []lock.CommandID{"c8f1"}}, nil
	}
	c := b.dial()
	c.write(`[2,"h1","Hello",{"bootId":"b7","mono":812345,"firmware":"1.4.2","caps":["deadline"],"lastSeq":411,"reported":{"bolt":"locked","door":"closed","battery":78}}]`)
	f := c.read()
	require.Equal(t, "h1", string(f.ID))
	var result wire.HelloResult
	require.NoError(t, result.Parse(f.Payload))
	require.Equal(t, uint64(1042), result.Epoch)
	require.Equal(t, uint64(409), result.AckSeq)
	require.Equal(t, int64(25000), result.HeartbeatMs)
	require.Equal(t, []string{"c8f1"}, result.Resolve)
	require.WithinDuration(t, time.Now(), result.Time, time.Minute)

	d := (<-seen).Device
	require.Equal(t, wire.FormatSession(d.Session.ID), result.Session)
	require.Equal(t, lock.Device{
		Session: lock.Session{Node: node, ID: d.Session.ID}, BootID: "b7", Firmware: "1.4.2", Deadline: true,
		Reported: lock.Reported{Bolt: "locked", Door: "closed", Battery: 78}, HelloMono: 812345,
		Clock: lock.Clock{Mono: 812345, At: d.Clock.At},
	}, d)
	require.WithinDuration(t, time.Now(), d.Clock.At, time.Minute)
	b.awaitCount(1, "sessions")

	require.NoError(t, c.ws.Close())
	require.Equal(t, d.Session, awaitTold[*lock.DisconnectDevice](t, b.grains).Session)
	b.awaitCount(0, "sessions")
}

func TestFirstFramesThatAreNoHello(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{HelloTimeout: 200 * time.Millisecond})
	for _, text := range []string{
		`[2,"b1","Heartbeat",{"mono":1}]`, `[3,"m1",{}]`, `[2,"h1","Hello",{}]`, `nonsense`, ``,
	} {
		c := b.dial()
		if text != `` { // the last one says nothing at all
			c.write(text)
		}
		c.closed(wire.CloseBadFrame)
	}
	require.Empty(t, tellings[*lock.DisconnectDevice](b.grains))
}

func TestLockThatCannotGreet(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	b.grains.connect = func(*lock.ConnectDevice) (lock.Reply, error) { return nil, errors.New("no member") }
	c := b.dial()
	c.call("h1", wire.ActionHello, &wire.Hello{BootID: "b7", Mono: 1})
	var pause wire.RetryAfter
	require.NoError(t, pause.Parse([]byte(c.closed(wire.CloseDraining))))
	require.Positive(t, pause.Pause)
	awaitTold[*lock.DisconnectDevice](t, b.grains) // the request may have got there after all

	b.grains.connect = func(*lock.ConnectDevice) (lock.Reply, error) {
		return nil, &lock.Error{Kind: lock.NotFound, Message: "gone"}
	}
	c = b.dial()
	c.call("h1", wire.ActionHello, &wire.Hello{BootID: "b7", Mono: 1})
	c.closed(wire.CloseCredentials)
}

// The Hello was under way for so long that the device has said another one meanwhile.
func TestALateHelloEndsItsOwnSession(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	b.grains.connect = func(*lock.ConnectDevice) (lock.Reply, error) { return &lock.Done{Version: 7}, nil }
	c := b.dial()
	c.call("h1", wire.ActionHello, &wire.Hello{BootID: "b7", Mono: 1})
	require.NotEmpty(t, c.closed(wire.CloseReplaced))
	awaitTold[*lock.DisconnectDevice](t, b.grains)
}

func TestOpenThereAndBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, greeting := b.connect()
	for i, want := range []struct {
		answer string
		told   lock.AnswerOpen
	}{
		{`[3,"%",{"commandId":"c901","outcome":"opened","bolt":"unlocked","mono":1200}]`, lock.AnswerOpen{Opened: true, Executed: lock.WasExecuted, Bolt: "unlocked"}},
		{`[4,"%","Expired","deadline passed",{"commandId":"c901","executed":false}]`, lock.AnswerOpen{Executed: lock.NotExecuted, Code: "Expired", Message: "deadline passed"}},
		{`[4,"%","Jammed","",{"executed":true}]`, lock.AnswerOpen{Executed: lock.WasExecuted, Code: "Jammed"}},
		{`[4,"%","Internal","",{}]`, lock.AnswerOpen{Code: "Internal"}},
	} {
		b.hub.Send(lockID, sendOpen(b.session(), "c901", 5*time.Second))
		id, open := c.readOpen()
		require.Equal(t, "c901", open.CommandID)
		require.Equal(t, greeting.Session, open.Session)
		require.Equal(t, uint64(6), open.Epoch)
		require.Equal(t, "b7", open.BootID)
		require.InDelta(t, 1000+5000, open.NotAfterMono, 3000)
		c.write(strings.Replace(want.answer, "%", id, 1))
		require.Eventually(t, func() bool { return len(tellings[*lock.AnswerOpen](b.grains)) == i+1 }, patient, time.Millisecond)
		want.told.Session, want.told.CommandID = b.session(), "c901"
		require.Equal(t, &want.told, tellings[*lock.AnswerOpen](b.grains)[i])
	}
}

// The server limits its own calls, so their answers are not counted against the device.
func TestAnswersAreNotLimited(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	const atOnce = 50 // fewer than the calls that may wait for an answer
	for i := range 2 * wire.FrameBurst {
		b.hub.Send(lockID, sendOpen(b.session(), "c1", 5*time.Second))
		id, _ := c.readOpen()
		c.write(`[3,"` + id + `",{"commandId":"c1","outcome":"opened"}]`)
		if sent := i + 1; sent%atOnce == 0 {
			require.Eventually(t, func() bool { return len(tellings[*lock.AnswerOpen](b.grains)) == sent }, patient, time.Millisecond)
		}
	}
}

func TestOpenWhoseDeadlineHasPassedIsNotSent(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	b.hub.Send(lockID, sendOpen(b.session(), "late", -time.Millisecond))
	b.hub.Send(lockID, sendOpen(b.session(), "good", time.Second))
	_, open := c.readOpen()
	require.Equal(t, "good", open.CommandID)
	a := awaitTold[*lock.AnswerOpen](t, b.grains)
	require.Equal(t, lock.CommandID("late"), a.CommandID)
	require.Equal(t, lock.NotExecuted, a.Executed)
	require.Equal(t, wire.CodeExpired, a.Code)
	require.False(t, a.Opened)
	require.InDelta(t, 1, b.count("unsent_total", "expired"), 0)
}

func TestDeadlineIsNeverFurtherThanTheLongestLifetime(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	b.hub.Send(lockID, sendOpen(b.session(), "c1", time.Hour))
	_, open := c.readOpen()
	require.InDelta(t, 1000+lock.MaxLifetime.Milliseconds(), open.NotAfterMono, 3000)
}

func TestHeartbeatMovesTheClock(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	c.call("b9", wire.ActionHeartbeat, &wire.Heartbeat{Mono: 900_000})
	f := c.read()
	require.Equal(t, wire.Result, f.Kind)
	require.Equal(t, "b9", string(f.ID))
	require.Equal(t, "{}", string(f.Payload))
	b.hub.Send(lockID, sendOpen(b.session(), "c1", 5*time.Second))
	_, open := c.readOpen()
	require.InDelta(t, 900_000+5000, open.NotAfterMono, 3000)
}

func TestEffectsWaitForTheGreeting(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	b.grains.connect = func(c *lock.ConnectDevice) (lock.Reply, error) {
		b.hub.Send(lockID, &lock.AskStatus{Session: c.Device.Session, CommandIDs: []lock.CommandID{"c8f1"}})
		b.hub.Send(lockID, sendOpen(c.Device.Session, "c901", 5*time.Second))
		return &lock.Greeting{Epoch: 5, Resolve: []lock.CommandID{"c8f1"}}, nil
	}
	c, _ := b.connect() // the first frame is the greeting
	f := c.read()
	require.Equal(t, wire.ActionCommandStatus, string(f.Action))
	_, open := c.readOpen()
	require.Equal(t, "c901", open.CommandID)
}

func TestStatusOfCommands(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	ask := func(n int, answer string) *lock.AnswerStatus {
		b.hub.Send(lockID, &lock.AskStatus{Session: b.session(), CommandIDs: []lock.CommandID{"c1", "c2"}})
		f := c.read()
		require.JSONEq(t, `{"commandIds":["c1","c2"]}`, string(f.Payload))
		c.write(strings.Replace(answer, "%", string(f.ID), 1))
		require.Eventually(t, func() bool { return len(tellings[*lock.AnswerStatus](b.grains)) == n }, patient, time.Millisecond)
		return tellings[*lock.AnswerStatus](b.grains)[n-1]
	}
	// What was not asked about is not passed on, and what is not answered stays open.
	a := ask(1, `[3,"%",{"c1":"not-seen","c9":"executed"}]`)
	require.Equal(t, map[lock.CommandID]lock.CommandStatus{"c1": lock.CommandNotSeen}, a.Statuses)
	a = ask(2, `[4,"%","Unsupported","",{}]`)
	require.Equal(t, map[lock.CommandID]lock.CommandStatus{"c1": lock.CommandJournalLost, "c2": lock.CommandJournalLost}, a.Statuses)
}

func TestEventsAreAcknowledgedByTheGrain(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	c.write(`[2,"e1","Events",{"items":[{"seq":412,"type":"door","value":"open","mono":842700}]}]`)
	r := awaitTold[*lock.ReportEvents](t, b.grains)
	require.Equal(t, []lock.DeviceEvent{{Seq: 412, Type: "door", Value: "open", Mono: 842700}}, r.Items)
	b.hub.Send(lockID, &lock.AckEvents{Session: r.Session, CallID: r.CallID, AckSeq: 412})
	f := c.read()
	require.Equal(t, "e1", string(f.ID))
	require.JSONEq(t, `{"ackSeq":412}`, string(f.Payload))
}

func TestNewestSocketWins(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	older, _ := b.connect()
	first := b.session()
	newer, _ := b.connect()
	b.hub.Send(lockID, sendOpen(first, "stale", 5*time.Second))
	older.closed(wire.CloseReplaced) // and the open was not before it
	a := awaitTold[*lock.AnswerOpen](t, b.grains)
	require.Equal(t, wire.CodeStaleSession, a.Code)
	require.Equal(t, lock.NotExecuted, a.Executed)

	b.hub.Send(lockID, sendOpen(b.session(), "fresh", 5*time.Second))
	_, open := newer.readOpen()
	require.Equal(t, "fresh", open.CommandID)
}

func TestOpenForASessionThatHasEndedIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	session := b.session()
	require.NoError(t, c.ws.Close())
	awaitTold[*lock.DisconnectDevice](t, b.grains)
	b.hub.Send(lockID, &lock.CloseSession{Session: session, Cause: lock.CauseReplaced}) // is what it is
	b.hub.Send(lockID, sendOpen(session, "late", 5*time.Second))
	require.Equal(t, wire.CodeStaleSession, awaitTold[*lock.AnswerOpen](t, b.grains).Code)
	require.Len(t, tellings[*lock.DisconnectDevice](b.grains), 2) // the grain seems to have missed the first one

	b.hub.Send(lockID, sendOpen(lock.Session{Node: node, ID: 12345}, "never", 5*time.Second)) // nor does it reach one that never was
	require.Len(t, tellings[*lock.AnswerOpen](b.grains), 2)
}

func TestMissedDeadlineResets(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	b.hub.Send(lockID, &lock.CloseSession{Session: b.session(), Cause: lock.CauseMissedDeadline})
	_, _, err := c.ws.ReadMessage()
	require.ErrorContains(t, err, "connection reset")
	b.awaitCount(1, "closes_total", "reset")
	awaitTold[*lock.DisconnectDevice](t, b.grains)
}

func TestPingIsAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	pong := make(chan string, 1)
	c.ws.SetPongHandler(func(data string) error {
		pong <- data
		return nil
	})
	require.NoError(t, c.ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(patient)))
	c.call("b9", wire.ActionHeartbeat, &wire.Heartbeat{Mono: 1})
	c.read()
	require.Equal(t, "are you there", <-pong)
}
