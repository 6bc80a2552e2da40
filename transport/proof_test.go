package transport_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

// Whoever has connected with a secret does not stay when the secret is worth nothing any more.
func TestSessionEndsAfterItsSecret(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{HeartbeatEvery: time.Second, KeepEvery: 50 * time.Millisecond})
	c, _ := b.connect()
	awaitTold[*lock.KeepDevice](t, b.grains) // it was asked at least once, and stayed
	b.withdraw()
	c.closed(wire.CloseCredentials)
	awaitTold[*lock.DisconnectDevice](t, b.grains)
}

// A socket that was opened before, and says Hello afterwards, is not greeted and gets no open.
func TestSecretWithdrawnBetweenHandshakeAndHello(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	b.grains.connect = func(c *lock.ConnectDevice) (lock.Reply, error) {
		b.hub.Send(lockID, sendOpen(c.Device.Session, "held", time.Second))
		return &lock.Greeting{}, nil
	}
	c := b.dial()
	b.withdraw()
	c.write(`[2,"h1","Hello",{"bootId":"b1","mono":1,"caps":[]}]`)
	c.closed(wire.CloseCredentials)
	refused := awaitTold[*lock.AnswerOpen](t, b.grains)
	require.Equal(t, lock.NotExecuted, refused.Executed)
}
