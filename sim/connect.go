package sim

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/latchkey/latchkey/transport/wire"
)

const (
	handshakeTimeout = 10 * time.Second
	writeTimeout     = 5 * time.Second
	socketBuffer     = 512     // bytes that a device keeps for reading; frames are small
	slowWindow       = 4 << 10 // bytes that a slow reader lets its kernel take
	retryAfterMax    = 10 * time.Minute

	ownSocketLingers  = time.Minute // in which a socket that was given up may still take over
	replacedForgotten = time.Hour   // after which a socket that took over is the first again
)

// handshakeError is an answer to the handshake that is no WebSocket.
type handshakeError struct {
	status     int
	retryAfter time.Duration
}

func (e *handshakeError) Error() string { return fmt.Sprintf("handshake answered %d", e.status) }

func newDialer(o *DeviceOptions) *websocket.Dialer {
	nd := &net.Dialer{Timeout: handshakeTimeout}
	return &websocket.Dialer{
		NetDialContext:   nd.DialContext,
		TLSClientConfig:  o.TLS,
		HandshakeTimeout: handshakeTimeout,
		ReadBufferSize:   socketBuffer,
		WriteBufferSize:  socketBuffer,
		WriteBufferPool:  new(sync.Pool),
		Subprotocols:     []string{wire.Subprotocol},
	}
}

// retryAfter connects after the wait, and not before. The caller holds d.mu.
func (d *Device) retryAfter(wait time.Duration) {
	if d.ctx.Err() != nil {
		return
	}
	if d.retry == nil {
		d.retry = time.AfterFunc(wait, d.connect)
		return
	}
	d.retry.Reset(wait)
}

// connect makes a session, or plans the next attempt.
func (d *Device) connect() {
	d.mu.Lock()
	if d.ctx.Err() != nil || d.conn != nil || d.dialing {
		d.mu.Unlock()
		return
	}
	d.dialing = true
	bootID := d.bootID
	server := d.opts.Servers[d.server%len(d.opts.Servers)]
	d.wg.Add(1) // under the mutex and before Stop's Wait
	d.mu.Unlock()
	defer d.wg.Done()

	c, err := d.dial(server)
	if err == nil {
		c.bootID = bootID
		err = c.greet()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dialing = false
	if err == nil && d.conn == c && d.ctx.Err() == nil {
		d.wg.Go(c.run)
		return
	}
	if c != nil {
		c.kill(false)
		d.forget(c)
		d.mayLinger(c, err)
		if d.conn == c {
			d.detach()
		}
	}
	d.opts.Stats.failures.Add(1)
	d.comeBack(err)
}

func (d *Device) dial(server string) (*conn, error) {
	header := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(d.cred.LockUUID+":"+d.cred.Secret))}}
	ctx, cancel := context.WithTimeout(d.ctx, handshakeTimeout)
	defer cancel()
	ws, resp, err := d.dialer.DialContext(ctx, server+"/devices/"+d.cred.LockUUID+"/connect", header)
	if errors.Is(err, websocket.ErrBadHandshake) && resp != nil {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return nil, &handshakeError{resp.StatusCode, min(time.Duration(max(seconds, 0))*time.Second, retryAfterMax)}
	}
	if err != nil {
		return nil, err
	}
	c := &conn{d: d, ws: ws, opened: time.Now()}
	ws.SetReadLimit(wire.MaxFrame)
	ping, closed := ws.PingHandler(), ws.CloseHandler()
	ws.SetPingHandler(func(data string) error { c.pass(); return ping(data) })
	ws.SetCloseHandler(func(code int, text string) error { c.pass(); return closed(code, text) })
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sockets = append(d.sockets, c)
	if d.faults.SlowReader {
		_ = c.tcp().SetReadBuffer(slowWindow)
	}
	if d.ctx.Err() != nil {
		return c, d.ctx.Err()
	}
	return c, nil
}

// lost is told that a socket has ended. If it carried the session, the device comes back.
func (d *Device) lost(c *conn, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(c)
	d.mayLinger(c, err)
	if d.conn != c {
		return // an old socket, or a reboot that has planned its own return
	}
	d.detach()
	if time.Since(c.since) >= d.opts.Backoff.StableAfter {
		d.attempt = 0
	}
	d.comeBack(err)
}

// comeBack plans the next attempt to connect, at the next node, as the end of the last one allows.
// The caller holds d.mu.
func (d *Device) comeBack(err error) {
	wait := d.opts.Backoff.delay(d.attempt)
	d.attempt++
	d.server++
	he, ce := &handshakeError{}, &websocket.CloseError{}
	switch {
	case errors.As(err, &he) && slices.Contains(credentialStatuses, he.status), websocket.IsCloseError(err, wire.CloseCredentials):
		d.opts.Stats.rejected.Add(1)
		wait = around(d.opts.Backoff.Rejected)
	case errors.As(err, &he) && he.retryAfter > 0:
		wait = he.retryAfter
	case websocket.IsCloseError(err, wire.CloseReplaced):
		d.opts.Stats.replaced.Add(1)
		if d.byAnother() {
			wait = around(d.opts.Backoff.Replaced)
		}
	case errors.As(err, &ce) && ce.Code == wire.CloseDraining:
		d.opts.Stats.drained.Add(1)
		var after wire.RetryAfter
		if after.Parse([]byte(ce.Text)) == nil {
			wait = min(after.Pause, retryAfterMax) // the server has spread us out itself
		}
	}
	d.opts.Logger.Debug("will connect again", "lock", d.cred.LockID, "cause", err, "wait", wait)
	d.retryAfter(wait)
}

// mayLinger notes that a socket has ended without the server's word: its Hello may be under way, and throw a later socket out.
func (d *Device) mayLinger(c *conn, err error) {
	ce := &websocket.CloseError{}
	if closed := errors.As(err, &ce) && ce.Code != websocket.CloseAbnormalClosure; !closed && c.opened.After(d.loose) {
		d.loose = c.opened
	}
}

// byAnother judges a close because of a newer socket: whether that must be another device's. A socket of this one's own that it has given up
// can do so once, and a race in the network can; who is replaced again has a double. The caller holds d.mu.
func (d *Device) byAnother() bool {
	own, first := time.Since(d.loose) < ownSocketLingers, time.Since(d.replaced) >= replacedForgotten
	d.replaced = time.Now()
	return !own && !first
}

// credentialStatuses are the answers to a handshake that say: not with these credentials.
var credentialStatuses = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}

// detach ends the session without closing its socket. The caller holds d.mu.
func (d *Device) detach() {
	if d.conn == nil {
		return
	}
	d.conn, d.session = nil, ""
	d.opts.Stats.connected.Add(-1)
	stopTimers(d.beat, d.flush)
	d.announce()
}

// announce wakes those who wait for a session. The caller holds d.mu.
func (d *Device) announce() {
	if d.changed != nil {
		close(d.changed)
		d.changed = nil
	}
}

// forget drops a socket from the list. The caller holds d.mu.
func (d *Device) forget(c *conn) {
	d.sockets = slices.DeleteFunc(d.sockets, func(o *conn) bool { return o == c })
}
