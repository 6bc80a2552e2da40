package sim

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/latchkey/latchkey/transport/wire"
)

// conn is one socket of a device. Its goroutine reads; whoever has something to say writes.
type conn struct {
	d      *Device
	ws     *websocket.Conn
	bootID string // the boot that it belongs to
	opened time.Time

	writing sync.Mutex // one writer at a time
	frozen  valve      // shut: half-open, neither reads nor writes
	slow    valve      // shut: does not read

	// What follows is guarded by d.mu.
	since      time.Time
	heartbeat  time.Duration
	unanswered int  // heartbeats
	reporting  bool // an Events call waits for its answer
	reported   time.Time
	lastSeq    uint64 // of that call
	holding    bool   // the server has not taken all of it: the next heartbeat tries again
}

// run reads the socket until its end.
func (c *conn) run() {
	for {
		if err := c.readFrame(); err != nil {
			_ = c.ws.Close()
			c.d.lost(c, err)
			return
		}
	}
}

// pass waits until the socket may be read. It reports false when the device is switched off.
func (c *conn) pass() bool {
	done := c.d.ctx.Done()
	for c.frozen.isShut() || c.slow.isShut() {
		if !c.frozen.wait(done) || !c.slow.wait(done) {
			return false
		}
	}
	return true
}

// readFrame reads one frame and does what it says.
func (c *conn) readFrame() error {
	if !c.pass() {
		return context.Canceled
	}
	_, msg, err := c.ws.ReadMessage()
	if err != nil {
		return err
	}
	if !c.pass() || !c.d.lag() {
		return context.Canceled
	}
	f, err := wire.ParseFrame(msg)
	if err != nil {
		c.d.opts.Logger.Warn("frame ignored", "lock", c.d.cred.LockID, "error", err)
		return nil
	}
	switch f.Kind {
	case wire.Call:
		c.called(&f)
	case wire.Result:
		return c.answered(f.ID[0], f.Payload)
	case wire.Error:
		c.d.opts.Logger.Warn("call refused", "lock", c.d.cred.LockID, "code", string(f.Code), "description", f.Description)
		c.refused(f.ID[0])
	}
	return nil
}

// called serves a call of the server.
func (c *conn) called(f *wire.Frame) {
	id := string(f.ID)
	switch string(f.Action) {
	case wire.ActionOpen:
		var p wire.Open
		if err := p.Parse(f.Payload); err != nil {
			c.refuse(id, wire.CodeBadFormat, err.Error(), wire.Details{Executed: wire.NotExecuted})
			return
		}
		c.open(id, p)
	case wire.ActionCommandStatus:
		var p wire.CommandStatus
		if err := p.Parse(f.Payload); err != nil {
			c.refuse(id, wire.CodeBadFormat, err.Error(), wire.Details{Executed: wire.NotExecuted})
			return
		}
		_ = c.write(wire.AppendResult(nil, id, c.d.statuses(p.CommandIDs)))
	case wire.ActionAddKey, wire.ActionRemoveKey, wire.ActionWriteKey:
		var p wire.Key
		switch err := p.Parse(f.Payload); {
		case c.d.keepsNoKeys():
			c.refuse(id, wire.CodeUnsupported, "this lock keeps no keys", wire.Details{Executed: wire.NotExecuted})
		case err != nil:
			c.refuse(id, wire.CodeBadFormat, err.Error(), wire.Details{Executed: wire.NotExecuted})
		default:
			c.changeKey(id, string(f.Action), p)
		}
	case wire.ActionSetConfig:
		var p wire.Config
		if err := p.Parse(f.Payload); err != nil {
			c.refuse(id, wire.CodeBadFormat, err.Error(), wire.Details{Executed: wire.NotExecuted})
			return
		}
		c.setConfig(id, p)
	default:
		c.refuse(id, wire.CodeUnsupported, "this lock does not know the action", wire.Details{Executed: wire.NotExecuted})
	}
}

// answered takes the answer to one of our calls; the first letter of its ID says which.
func (c *conn) answered(kind byte, payload []byte) error {
	switch kind {
	case 'h':
		return c.greeted(payload)
	case 'b':
		c.d.mu.Lock()
		c.unanswered = 0
		c.d.mu.Unlock()
	case 'e':
		var ack wire.Ack
		if err := ack.Parse(payload); err != nil {
			return err
		}
		c.acknowledged(ack.AckSeq)
	}
	return nil
}

// refused takes the refusal of one of our calls.
func (c *conn) refused(kind byte) {
	d := c.d
	d.mu.Lock()
	defer d.mu.Unlock()
	switch kind {
	case 'h':
		c.kill(false)
	case 'b':
		c.unanswered = 0
	case 'e':
		c.reporting, c.holding = false, true
	}
}

func (c *conn) refuse(id, code, description string, details wire.Details) {
	_ = c.write(wire.AppendError(nil, id, code, description, &details))
}

// write sends one frame. The reader notices when the socket is gone, so most callers need not.
func (c *conn) write(frame []byte) error { return c.writeRaw(websocket.TextMessage, frame) }

func (c *conn) writeRaw(messageType int, data []byte) error {
	if !c.d.lag() || !c.frozen.wait(c.d.ctx.Done()) {
		return context.Canceled
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.ws.SetWriteDeadline(time.Now().Add(writeTimeout))
	return c.ws.WriteMessage(messageType, data)
}

// lag waits as long as the network takes for one frame. It reports false when the device is switched off.
func (d *Device) lag() bool {
	d.mu.Lock()
	wait := d.faults.latency()
	d.mu.Unlock()
	return d.pause(wait)
}

func (d *Device) pause(wait time.Duration) bool {
	if wait <= 0 {
		return d.ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-d.ctx.Done():
		return false
	}
}

// callID numbers a call. The caller holds d.mu.
func (d *Device) callID(kind byte) string {
	d.calls++
	return string(kind) + strconv.FormatUint(d.calls, 10)
}
