package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

// script is a socket whose other end says what was written down, and hears everything.
type script struct {
	net.Conn
	io.Reader
	heard bytes.Buffer
}

func (c *script) Read(p []byte) (int, error)       { return c.Reader.Read(p) }
func (c *script) Write(p []byte) (int, error)      { return c.heard.Write(p) }
func (c *script) Close() error                     { return nil }
func (c *script) SetReadDeadline(time.Time) error  { return nil }
func (c *script) SetWriteDeadline(time.Time) error { return nil }

// greeter greets, and sends an open, a key, a configuration and a question along.
type greeter struct{ hub *Hub }

func (*greeter) FindDevice(context.Context, lock.UUID) (lock.ID, error) { return 1, nil }
func (*greeter) Tell(lock.ID, lock.Command)                             {}
func (*greeter) Home(lock.ID) string                                    { return "" }
func (g *greeter) Do(_ context.Context, _ lock.ID, c lock.Command) (lock.Reply, error) {
	connect, ok := c.(*lock.ConnectDevice)
	if !ok {
		return &lock.Done{}, nil
	}
	session := connect.Device.Session
	g.hub.Send(1, &lock.AskStatus{Session: session, CommandIDs: []lock.CommandID{"c0"}})
	g.hub.Send(1, &lock.SendOpen{Session: session, CommandID: "c1", BootID: "b", NotAfter: time.Now().Add(time.Minute)})
	g.hub.Send(1, &lock.SendKey{
		SendOpen: lock.SendOpen{Session: session, CommandID: "c2", BootID: "b", NotAfter: time.Now().Add(time.Minute)}, Action: lock.ActionAddKey, Key: lock.Key{UUID: "k"},
	})
	g.hub.Send(1, &lock.SendConfig{Session: session, Config: lock.Config{Number: 3, RelockMs: 5000}})
	return &lock.Greeting{Epoch: 1}, nil
}

// Whatever a device says, the session ends when the device does, and all that it was sent is well-formed: text frames
// with frames of the protocol, then at most one close frame with a code that firmware knows, and nothing after it.
func FuzzSession(f *testing.F) {
	g := &greeter{}
	hub, err := New(Options{Grains: g, Node: "n1"})
	require.NoError(f, err)
	f.Cleanup(hub.Close)
	g.hub = hub

	const hello = `[2,"h1","Hello",{"bootId":"b","mono":1,"caps":["deadline"]}]` + "\n"
	f.Add([]byte(hello + `[2,"b9","Heartbeat",{"mono":865000}]` + "\n" + `[3,"m2",{"commandId":"c1","outcome":"opened","mono":5}]`))
	f.Add([]byte(hello + `[4,"m2","Expired","late",{"commandId":"c1","executed":false}]` + "\n" + `[3,"m1",{"c0":"not-seen"}]`))
	f.Add([]byte(hello + `[2,"e1","Events",{"items":[{"seq":1,"type":"door","value":"open","mono":1}]}]` + "\n" + `[2,"x","Y",{}]` + "\nnonsense"))
	f.Add([]byte(hello + `[3,"m3",{"commandId":"c2","outcome":"done"}]` + "\n" + `[3,"m2",{"config":3}]`))
	f.Add([]byte(`[2,"b9","Heartbeat",{"mono":865000}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var stream []byte
		for line := range strings.SplitSeq(string(text), "\n") {
			stream = append(stream, masked(finBit|opText, []byte(line[:min(len(line), 60_000)]))...)
		}
		conn := &script{Reader: bytes.NewReader(stream)}
		require.True(t, hub.enter())
		hub.register(conn, 1, proof{certified: true}).run()
		require.Zero(t, hub.connected.Load())
		checkHeard(t, conn.heard.Bytes())
	})
}

func checkHeard(t *testing.T, b []byte) {
	for len(b) > 0 {
		require.GreaterOrEqual(t, len(b), 2)
		size, head := int(b[1]), 2
		if size == 126 {
			size, head = int(binary.BigEndian.Uint16(b[2:])), 4
		}
		op, payload := b[0]&0x0F, b[head:head+size]
		b = b[head+size:]
		switch op {
		case opText:
			_, err := wire.ParseFrame(payload)
			require.NoError(t, err, "%s", payload)
		case opClose:
			require.Contains(t, []int{closeNormal, wire.CloseBadFrame, wire.CloseRate}, int(binary.BigEndian.Uint16(payload)))
			require.Empty(t, b)
		default:
			require.Fail(t, "unexpected opcode")
		}
	}
}
