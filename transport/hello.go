package transport

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

// hello takes the first message, makes the session its lock's newest, and greets the device.
func (s *session) hello() error {
	message, err := s.readHello()
	if err != nil {
		return err
	}
	at := time.Now()
	f, err := wire.ParseFrame(message)
	if err != nil {
		return badFrame(err.Error())
	}
	if f.Kind != wire.Call || string(f.Action) != wire.ActionHello {
		return badFrame("the first frame must be a Hello")
	}
	var hello wire.Hello
	if err := hello.Parse(f.Payload); err != nil {
		return badFrame("Hello: " + err.Error())
	}
	s.hub.metrics.received.WithLabelValues(wire.ActionHello).Inc()
	id := string(f.ID)
	greeting, err := s.connect(&hello, at)
	if err != nil {
		return err
	}
	s.greet(id, greeting)
	s.hub.metrics.greeting.Observe(time.Since(at).Seconds())
	return nil
}

// connect hands the session to the grain.
func (s *session) connect(hello *wire.Hello, at time.Time) (*lock.Greeting, error) {
	s.mu.Lock()
	s.device.HelloMono = hello.Mono
	s.device.Clock = lock.Clock{Mono: hello.Mono, At: at}
	s.device.BootID = hello.BootID
	s.device.Firmware = hello.Firmware
	s.device.Deadline = hello.Has(wire.CapDeadline)
	s.device.Journal = hello.Has(wire.CapJournal)
	s.device.Keys = hello.Has(wire.CapKeys)
	s.device.Reported = lock.Reported{
		Bolt: hello.Reported.Bolt, Door: hello.Reported.Door, Battery: hello.Reported.Battery, Config: hello.Reported.Config,
	}
	s.told = true // from here on the grain may know of it, whatever the answer
	s.home = s.hub.Grains.Home(s.lock)
	device := s.device
	s.mu.Unlock()
	s.hub.metrics.sessions.Inc()

	ctx, cancel := context.WithTimeout(context.Background(), s.hub.RequestTimeout)
	defer cancel()
	reply, err := s.hub.Grains.Do(ctx, s.lock, &lock.ConnectDevice{Device: device})
	if err == nil {
		// Again, and now that the lock knows of the session: a secret that is withdrawn from here on closes it, and one that was
		// withdrawn since the handshake is found out.
		err = s.hub.check(ctx, s.lock, &s.proof)
	}
	if greeting, ok := reply.(*lock.Greeting); ok && err == nil {
		return greeting, nil
	}
	if _, late := reply.(*lock.Done); late && err == nil {
		return nil, errReplaced
	}
	if unauthentic(err) {
		return nil, errWithdrawn
	}
	s.hub.Logger.Debug("device cannot be greeted", "lock", s.lock, "error", err)
	return nil, &closed{wire.CloseDraining, retryAfter(minRetry + rand.N(maxRetry-minRetry))}
}

// The pause of a device whose lock could not be reached.
const (
	minRetry = time.Second
	maxRetry = 5 * time.Second
)

func retryAfter(pause time.Duration) string {
	return string((&wire.RetryAfter{Pause: pause}).Append(nil))
}

// greet answers the Hello, ahead of the effects that came before it.
func (s *session) greet(id string, g *lock.Greeting) {
	result := wire.HelloResult{
		Session: wire.FormatSession(s.device.Session.ID), Epoch: g.Epoch, Time: time.Now(),
		HeartbeatMs: s.hub.HeartbeatEvery.Milliseconds(), AckSeq: g.AckSeq, Resolve: texts(g.Resolve),
	}
	if g.Desired != nil {
		result.Desired = &wire.Config{Config: g.Desired.Number, RelockMs: g.Desired.RelockMs}
	}
	s.mu.Lock()
	if s.phase != fresh {
		s.mu.Unlock()
		return
	}
	s.phase = live
	s.reported = g.AckSeq
	first := getBuffer()
	dst, at := appendHead(first.b)
	first.b = seal(wire.AppendResult(dst, id, &result), at, opText)
	if s.out != nil {
		first.b = append(first.b, s.out.b...)
		putBuffer(s.out)
	}
	s.out = first
	start := s.mayStart()
	s.mu.Unlock()
	s.hub.metrics.sent.Inc()
	if start {
		s.startFlush(true)
	}
	if s.hasMoved() { // while it was being greeted
		s.keep()
	}
}

func texts(ids []lock.CommandID) []string {
	ids = ids[:min(len(ids), wire.MaxStatuses)]
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}
