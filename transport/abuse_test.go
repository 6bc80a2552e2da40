package transport_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

func TestFramesThatEndTheSession(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	for name, send := range map[string]func(*client) error{
		"binary": func(c *client) error {
			return c.ws.WriteMessage(websocket.BinaryMessage, []byte(`[2,"b","Heartbeat",{"mono":1}]`))
		},
		"malformed": func(c *client) error {
			return c.ws.WriteMessage(websocket.TextMessage, []byte(`[2,"b","Heartbeat",{"mono":1}`))
		},
		"not UTF-8": func(c *client) error {
			return c.ws.WriteMessage(websocket.TextMessage, []byte("[2,\"b\",\"X\",{\"x\":\"\xff\"}]"))
		},
		"17 KiB": func(c *client) error { return c.ws.WriteMessage(websocket.TextMessage, make([]byte, 17<<10)) },
		"1 MiB":  func(c *client) error { return c.ws.WriteMessage(websocket.TextMessage, make([]byte, 1<<20)) },
		"second one": func(c *client) error {
			return c.ws.WriteMessage(websocket.TextMessage, []byte(`[2,"h2","Hello",{"bootId":"b7","mono":1}]`))
		},
		"unmasked": func(c *client) error {
			_, err := c.ws.NetConn().Write([]byte{0x81, 0x02, '[', ']'})
			return err
		},
		"reserved bit": func(c *client) error {
			_, err := c.ws.NetConn().Write([]byte{0xC1, 0x80, 0, 0, 0, 0})
			return err
		},
		"too large in parts": func(c *client) error {
			part := append([]byte{0x01, 0x80 | 126, 0x20, 0x01, 0, 0, 0, 0}, make([]byte, 0x2001)...)
			_, err := c.ws.NetConn().Write(part)
			part[0] = 0x80
			if err == nil {
				_, err = c.ws.NetConn().Write(part)
			}
			return err
		},
	} {
		c, _ := b.connect()
		require.NoError(t, send(c), name)
		c.closed(wire.CloseBadFrame)
		awaitTold[*lock.DisconnectDevice](t, b.grains)
	}
}

func TestMessageInPartsIsPutTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	text := []byte(`[2,"e1","Events",{"items":[{"seq":1,"type":"door","value":"` + strings.Repeat("x", 300) + `"}]}]`)
	raw := func(head byte, payload []byte) {
		frame := append([]byte{head, 0x80 | 126, byte(len(payload) >> 8), byte(len(payload)), 0, 0, 0, 0}, payload...)
		_, err := c.ws.NetConn().Write(frame)
		require.NoError(t, err)
	}
	raw(0x01, text[:50])
	raw(0x00, nil)
	_, err := c.ws.NetConn().Write([]byte{0x89, 0x80, 0, 0, 0, 0}) // a ping in between
	require.NoError(t, err)
	raw(0x00, text[50:300])
	raw(0x80, text[300:])
	require.Len(t, awaitTold[*lock.ReportEvents](t, b.grains).Items, 1)
	c.call("b1", wire.ActionHeartbeat, &wire.Heartbeat{Mono: 1})
	require.Equal(t, "b1", string(c.read().ID))
}

func TestUnknownActionsAndBadPayloadsAreAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	for _, x := range []struct{ call, code string }{
		{`[2,"x1","SelfDestruct",{}]`, wire.CodeUnsupported},
		{`[2,"x1","Open",{}]`, wire.CodeUnsupported},
		{`[2,"x1","Heartbeat",{}]`, wire.CodeBadFormat},
		{`[2,"x1","Events",{"items":[{"seq":2,"type":"door"},{"seq":1,"type":"door"}]}]`, wire.CodeBadFormat},
	} {
		c.write(x.call)
		f := c.read()
		require.Equal(t, wire.Error, f.Kind)
		require.Equal(t, "x1", string(f.ID))
		require.Equal(t, x.code, string(f.Code))
	}
}

// A device that reports without end is not believed without end: its events are refused and not stored, in its next session
// too, while it stays connected and others are as before.
func TestTooManyEvents(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	items := make([]string, wire.MaxEvents)
	for i := range items {
		items[i] = fmt.Sprintf(`{"seq":%d,"type":"tamper","value":%q,"mono":1}`, i+1, strings.Repeat("x", 100))
	}
	report := `[2,"e","Events",{"items":[` + strings.Join(items, ",") + `]}]`
	require.Less(t, len(report), wire.MaxFrame)
	frame := append([]byte{0x81, 0x80 | 126, byte(len(report) >> 8), byte(len(report)), 0, 0, 0, 0}, report...) // in one piece
	stored := 0
	for session := range 2 {
		c, _ := b.connect()
		before := b.count("events_refused_total")
		for b.count("events_refused_total") == before {
			const row = 10
			for range row {
				_, err := c.ws.NetConn().Write(frame)
				require.NoError(t, err)
			}
			c.write(`[2,"b","Heartbeat",{"mono":1}]`)
			refused := 0
			f := c.read()
			for ; string(f.ID) != "b"; f = c.read() {
				require.Equal(t, wire.Error, f.Kind)
				require.Equal(t, wire.CodeBusy, string(f.Code))
				refused++
			}
			require.Equal(t, wire.Result, f.Kind, "the session lives")
			require.True(t, session == 0 || refused == row, "the next session begins where the last one ended")
			stored += (row - refused) * len(report)
		}
		require.NoError(t, c.ws.NetConn().Close())
		awaitTold[*lock.DisconnectDevice](t, b.grains)
	}
	require.InDelta(t, wire.EventBurst, stored, 2*wire.MaxFrame)
}

func TestAnswersToCallsThatWereNeverMade(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	b.hub.Send(lockID, sendOpen(b.session(), "c1", 5*time.Second))
	id, _ := c.readOpen()
	answer := fmt.Sprintf(`[3,%q,{"commandId":"c1","outcome":"opened"}]`, id)
	c.write(answer)
	for _, stray := range []string{answer, `[3,"m99",{}]`, `[4,"q","Internal","",{}]`, `[3,"m01",{}]`} {
		c.write(stray)
	}
	c.call("b1", wire.ActionHeartbeat, &wire.Heartbeat{Mono: 1})
	require.Equal(t, "b1", string(c.read().ID))
	require.Len(t, tellings[*lock.AnswerOpen](b.grains), 1)
	require.InDelta(t, 4, b.count("stray_answers_total"), 0)

	for range 20 {
		c.write(`[3,"m99",{}]`)
	}
	c.closed(wire.CloseBadFrame)
}

func TestAnswersThatMakeNoSense(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	for _, answer := range []string{
		`[3,"m1",{"commandId":"other","outcome":"opened"}]`,
		`[3,"m1",{"commandId":"c1","outcome":"perhaps"}]`,
		`[4,"m1","Busy","",{"commandId":"other","executed":false}]`,
		`[4,"m1","Busy","",{"executed":"no"}]`,
	} {
		c, _ := b.connect()
		b.hub.Send(lockID, sendOpen(b.session(), "c1", 5*time.Second))
		c.readOpen()
		c.write(answer)
		c.closed(wire.CloseBadFrame)
	}
	require.Empty(t, tellings[*lock.AnswerOpen](b.grains))
}

func TestTooManyFrames(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	go func() {
		for range 2 * wire.FrameBurst {
			if c.ws.WriteMessage(websocket.TextMessage, []byte(`[2,"b","Heartbeat",{"mono":1}]`)) != nil {
				return
			}
		}
	}()
	answers := 0
	for {
		_, _, err := c.ws.ReadMessage()
		if err == nil {
			answers++
			continue
		}
		require.True(t, websocket.IsCloseError(err, wire.CloseRate), "%v", err)
		break
	}
	require.LessOrEqual(t, answers, wire.FrameBurst+wire.FramesPerSec)
}

func TestMissedHeartbeats(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{HeartbeatEvery: 100 * time.Millisecond})
	c, greeting := b.connect()
	require.Equal(t, int64(100), greeting.HeartbeatMs)
	at := time.Now()
	c.closed(wire.CloseHeartbeat)
	require.Greater(t, time.Since(at), 150*time.Millisecond)
	awaitTold[*lock.DisconnectDevice](t, b.grains)
}

// A device that does not read is cut off, while another one on the same hub is served, and Send waits for neither.
func TestSlowReaderIsCutOff(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{WriteTimeout: patient})
	c, _ := b.connect()
	require.NoError(t, c.ws.NetConn().(*net.TCPConn).SetReadBuffer(1024))
	slow := b.session()
	b.grains.mu.Lock()
	b.grains.newest = lock.Session{} // the next one does not take over
	b.grains.mu.Unlock()
	good, _ := b.connect()

	ack := &lock.AckEvents{Session: slow, CallID: strings.Repeat("e", 30_000), AckSeq: 1}
	longest := time.Duration(0)
	for n := 0; b.count("slow_consumers_total") == 0; n++ {
		require.Less(t, n, 100_000)
		at := time.Now()
		b.hub.Send(lockID, ack)
		longest = max(longest, time.Since(at))
	}
	require.Less(t, longest, time.Second)
	b.awaitCount(1, "closes_total", "slow")
	require.Equal(t, slow, awaitTold[*lock.DisconnectDevice](t, b.grains).Session)

	b.hub.Send(lockID, sendOpen(b.session(), "c1", 5*time.Second))
	_, open := good.readOpen()
	require.Equal(t, "c1", open.CommandID)
}

func TestWriteThatTakesTooLongEndsTheSession(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{WriteTimeout: 100 * time.Millisecond})
	b.connect()
	// Fill the buffers of the path without ever letting 64 KiB wait: only the write's own deadline can end it.
	ack := &lock.AckEvents{Session: b.session(), CallID: strings.Repeat("e", 30_000), AckSeq: 1}
	require.Eventually(t, func() bool {
		b.hub.Send(lockID, ack)
		return b.count("slow_consumers_total") > 0
	}, patient, 10*time.Millisecond)
	b.awaitCount(1, "closes_total", "slow")
}

func TestDeviceWithTooManyUnansweredCalls(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	b.connect()
	for i := range 129 {
		b.hub.Send(lockID, sendOpen(b.session(), lock.CommandID(fmt.Sprint("c", i)), 5*time.Second))
	}
	a := awaitTold[*lock.AnswerOpen](t, b.grains)
	require.Equal(t, wire.CodeBusy, a.Code)
	require.Equal(t, lock.NotExecuted, a.Executed)
}
