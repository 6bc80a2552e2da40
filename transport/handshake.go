package transport

import (
	"context"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

const (
	handshakeWriteTimeout = 5 * time.Second
	maxSecret             = 256 // bytes of a device's secret
	maxRetryAfter         = 8   // seconds of a 503; each device gets its own, so that they do not come back together
	urnUUID               = "urn:uuid:"
)

// refusal is the answer to a request that does not become a session. The result is its name in the metrics.
type refusal struct {
	status  int
	result  string
	message string
}

var (
	refusedOrigin      = &refusal{http.StatusForbidden, "origin", "browsers cannot connect as devices: the request carries an Origin header"}
	refusedUpgrade     = &refusal{http.StatusUpgradeRequired, "upgrade", "this is a WebSocket endpoint"}
	refusedProtocol    = &refusal{http.StatusBadRequest, "subprotocol", "Sec-WebSocket-Protocol must offer " + wire.Subprotocol}
	refusedCredentials = &refusal{http.StatusUnauthorized, "credentials", "the device is unknown, or its credentials are wrong"}
	refusedStrangers   = &refusal{http.StatusServiceUnavailable, "strangers", "too many wrong credentials came from this address; come back later"}
	refusedBusy        = &refusal{http.StatusServiceUnavailable, "busy", "too many devices connect at once; come back later"}
	refusedSockets     = &refusal{http.StatusServiceUnavailable, "busy", "too many sockets of this device have not said Hello; come back later"}
	refusedDraining    = &refusal{http.StatusServiceUnavailable, "draining", "the server goes away; come back later"}
	refusedUnavailable = &refusal{http.StatusServiceUnavailable, "unavailable", "the lock cannot be reached now; come back later"}
	refusedHandshake   = &refusal{http.StatusBadRequest, "handshake", "the WebSocket handshake is malformed"}
)

// refusals are all of them.
var refusals = []*refusal{
	refusedOrigin, refusedUpgrade, refusedProtocol, refusedCredentials, refusedStrangers, refusedBusy, refusedSockets,
	refusedDraining, refusedUnavailable, refusedHandshake,
}

const accepted = "accepted"

const headerProtocol = "Sec-Websocket-Protocol" // as net/http writes it

// offersProtocol looks through all lines of the header: RFC 6455 allows several, and gorilla's reading of it stops at the first. So the
// handshake tells gorilla what was chosen, instead of letting it choose.
func offersProtocol(h http.Header) bool {
	for _, line := range h[headerProtocol] {
		for name := range strings.SplitSeq(line, ",") {
			if strings.TrimSpace(name) == wire.Subprotocol {
				return true
			}
		}
	}
	return false
}

func newUpgrader() websocket.Upgrader {
	return websocket.Upgrader{
		HandshakeTimeout: handshakeWriteTimeout,
		ReadBufferSize:   1,                                        // of an object that is dropped at once: sessions read by themselves
		CheckOrigin:      func(*http.Request) bool { return true }, // refused before, whatever it says
		Error: func(w http.ResponseWriter, _ *http.Request, _ int, _ error) {
			refusedHandshake.write(w)
		},
	}
}

// ServeHTTP answers GET /devices/{lockUuid}/connect: it authenticates the device and makes its socket a session.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, no := h.handshake(w, r)
	if no == nil {
		h.metrics.handshakes.WithLabelValues(accepted).Inc()
		return
	}
	h.tellRefused(r, id, no)
	h.metrics.handshakes.WithLabelValues(no.result).Inc()
	if no != refusedHandshake {
		no.write(w)
	}
}

// tellRefused logs which device was sent away, or one of those. The answer says less: a stranger learns nothing of what there is.
func (h *Hub) tellRefused(r *http.Request, id lock.ID, no *refusal) {
	others, due := h.refused.Due(no.result)
	if !due {
		return
	}
	from := r.RemoteAddr
	if h.Strangers != nil {
		from = h.Strangers.Address(r)
	}
	about := []any{"reason", no.result, "address", from}
	if device, err := lock.ParseUUID(r.PathValue("lockUuid")); err == nil { // and no other text of whoever it is
		about = append(about, "device", device)
	}
	if id != 0 {
		about = append(about, "lock", id)
	}
	h.Logger.Info("a device was refused", append(about, "others", others)...)
}

// handshake gives nil when the connection has become a session, and the lock as far as it got to know it. Of refusedHandshake the
// client has been told already.
func (h *Hub) handshake(w http.ResponseWriter, r *http.Request) (id lock.ID, no *refusal) {
	switch {
	case len(r.Header.Values("Origin")) > 0:
		return 0, refusedOrigin
	case !websocket.IsWebSocketUpgrade(r):
		return 0, refusedUpgrade
	case !offersProtocol(r.Header):
		return 0, refusedProtocol
	case h.draining.Load():
		return 0, refusedDraining
	case h.connected.Load() >= int64(h.MaxSessions):
		return 0, refusedBusy
	}
	shown, ok := shownBy(r)
	if !ok {
		return 0, refusedCredentials
	}
	if !h.mayTry(r, &shown) {
		return 0, refusedStrangers
	}
	select {
	case h.handshakes <- struct{}{}:
		defer func() { <-h.handshakes }()
	default:
		return 0, refusedBusy
	}
	if id, no = h.authenticate(r, &shown); no != nil {
		return id, no
	}
	if !h.arrivals.enter(id) {
		return id, refusedSockets
	}
	ws, err := h.upgrader.Upgrade(w, r, http.Header{headerProtocol: {wire.Subprotocol}})
	if err != nil {
		h.arrivals.leave(id)
		return id, refusedHandshake
	}
	conn := ws.NetConn()
	h.tune(conn)
	if err := h.add(conn, id, shown); err != nil {
		h.arrivals.leave(id)
		_ = conn.Close()
		return id, refusedHandshake
	}
	return id, nil
}

// shownBy reads what a device shows of itself. It reports false when that can be nobody's.
func shownBy(r *http.Request) (proof, bool) {
	device, err := lock.ParseUUID(r.PathValue("lockUuid"))
	if err != nil {
		return proof{}, false
	}
	if certifies(r, device) {
		return proof{device: lock.UUID(strings.Clone(string(device))), certified: true}, true
	}
	user, password, ok := r.BasicAuth()
	name, err := lock.ParseUUID(user)
	if !ok || err != nil || name != device || password == "" || len(password) > maxSecret {
		return proof{}, false
	}
	return proofBy(device, password), true
}

// authenticate gives the lock whose device this is, if there is one. An unknown device, wrong credentials and the credentials of another
// device get the same answer, so that nobody learns which devices there are. Who has gone meanwhile has tried as well.
func (h *Hub) authenticate(r *http.Request, shown *proof) (lock.ID, *refusal) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), h.RequestTimeout)
	defer cancel()
	id, err := h.Grains.FindDevice(ctx, shown.device)
	if err == nil {
		err = h.check(ctx, id, shown)
	}
	switch {
	case err == nil:
		h.wasGood(shown)
		return id, nil
	case unauthentic(err):
		h.wasWrong(r, shown)
		return id, refusedCredentials
	}
	h.Logger.Debug("device cannot be authenticated", "device", shown.device, "error", err)
	return id, refusedUnavailable
}

// unauthentic tells a device that may not connect from a lock that cannot be asked.
func unauthentic(err error) bool {
	var e *lock.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Kind {
	case lock.Unauthentic, lock.NotFound, lock.Forbidden, lock.Invalid:
		return true
	default:
		return false
	}
}

// certifies tells whether the client showed a certificate for the device that the TLS layer has verified: its UUID is the
// common name, or a URI urn:uuid:... among the alternative names.
func certifies(r *http.Request, device lock.UUID) bool {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return false
	}
	return slices.Contains(certifiedNames(r.TLS.VerifiedChains[0][0]), device)
}

func certifiedNames(cert *x509.Certificate) []lock.UUID {
	var names []lock.UUID
	for _, uri := range cert.URIs {
		text := uri.String()
		if len(text) <= len(urnUUID) || !strings.EqualFold(text[:len(urnUUID)], urnUUID) {
			continue
		}
		if name, err := lock.ParseUUID(text[len(urnUUID):]); err == nil {
			names = append(names, name)
		}
	}
	if name, err := lock.ParseUUID(cert.Subject.CommonName); err == nil {
		names = append(names, name)
	}
	return names
}

// tune sets the options of the socket. A socket without them works, so errors are of no use to anybody.
func (h *Hub) tune(conn net.Conn) {
	tcp := tcpOf(conn)
	if tcp == nil {
		return
	}
	// Probes start only after a heartbeat was missed, so that they never wake the radio of a good device.
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: h.HeartbeatEvery + 5*time.Second, Interval: 5 * time.Second, Count: 3})
	_ = setUserTimeout(tcp, userTimeout)
}

// tcpOf finds the TCP connection under TLS and other wrappers; nil when there is none.
func tcpOf(conn net.Conn) *net.TCPConn {
	for {
		switch c := conn.(type) {
		case *net.TCPConn:
			return c
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

func (no *refusal) write(w http.ResponseWriter) {
	switch no.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="latchkey devices", charset="UTF-8"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(1+rand.N(maxRetryAfter)))
	case http.StatusUpgradeRequired:
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
	}
	http.Error(w, no.message, no.status)
}
