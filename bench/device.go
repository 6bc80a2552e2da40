package bench

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/latchkey/latchkey/transport/wire"
)

// fleet is a number of devices whose motors need no time, so that only the server is measured.
type fleet struct {
	movements atomic.Int64
	conns     []*websocket.Conn
}

const dialsAtOnce = 32

// connect brings devices 1 to n online and returns when each has been greeted.
func connect(ctx context.Context, server string, n int, secret func(n int) string) (*fleet, error) {
	f := &fleet{conns: make([]*websocket.Conn, n)}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(dialsAtOnce)
	dialer := websocket.Dialer{
		Subprotocols: []string{wire.Subprotocol}, HandshakeTimeout: 10 * time.Second,
		ReadBufferSize: 512, WriteBufferSize: 512,
	}
	for i := range n {
		group.Go(func() error {
			uuid := lockUUID(i + 1)
			head := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(uuid+":"+secret(i+1)))}}
			url := "ws" + strings.TrimPrefix(server, "http") + "/devices/" + uuid + "/connect"
			conn, resp, err := dialer.DialContext(ctx, url, head)
			if err != nil {
				if resp != nil {
					return fmt.Errorf("bench: device %d: %w (%s)", i+1, err, resp.Status)
				}
				return fmt.Errorf("bench: device %d: %w", i+1, err)
			}
			f.conns[i] = conn
			hello := wire.Hello{BootID: "b1", Mono: mono(), Firmware: "bench", Caps: []string{wire.CapDeadline, wire.CapJournal}}
			if err := conn.WriteMessage(websocket.TextMessage, wire.AppendCall(nil, "h1", wire.ActionHello, &hello)); err != nil {
				return err
			}
			if _, _, err := conn.ReadMessage(); err != nil {
				return fmt.Errorf("bench: device %d was not greeted: %w", i+1, err)
			}
			go f.serve(conn)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

var booted = time.Now()

func mono() int64 { return time.Since(booted).Milliseconds() + 1 }

// serve answers every Open at once, and nothing else.
func (f *fleet) serve(conn *websocket.Conn) {
	var open wire.Open
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		frame, err := wire.ParseFrame(data)
		if err != nil || frame.Kind != wire.Call || string(frame.Action) != wire.ActionOpen || open.Parse(frame.Payload) != nil {
			continue
		}
		f.movements.Add(1)
		result := wire.OpenResult{CommandID: open.CommandID, Bolt: "unlocked", Mono: mono()}
		if conn.WriteMessage(websocket.TextMessage, wire.AppendResult(nil, string(frame.ID), &result)) != nil {
			return
		}
	}
}

func (f *fleet) close() {
	for _, conn := range f.conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
}

func lockUUID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }
func keyUUID(n int) string  { return fmt.Sprintf("00000000-0000-4000-9000-%012d", n) }
