package transport_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

// sendKey has the hub tell the device of a key.
func (b *bench) sendKey(id lock.CommandID, action lock.KeyAction, until time.Time) {
	b.mu.Lock()
	session := b.newest
	b.mu.Unlock()
	number := int64(7)
	b.hub.Send(lockID, &lock.SendKey{
		SendOpen: lock.SendOpen{Session: session, CommandID: id, BootID: "b7", Epoch: 12, NotAfter: until}, Action: action, Key: lock.Key{UUID: "card", IndexNumber: &number, UserID: "ann"},
	})
}

func TestKeysGoToTheDeviceWithADeadline(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	began := time.Now()
	c, hello := b.connect()
	for _, action := range []lock.KeyAction{lock.ActionAddKey, lock.ActionWriteKey, lock.ActionRemoveKey} {
		b.sendKey("c1", action, time.Now().Add(5*time.Second))
		f := c.read()
		require.Equal(t, string(action), string(f.Action))
		var key wire.Key
		require.NoError(t, key.Parse(f.Payload))
		require.Equal(t, "c1", key.CommandID)
		require.Equal(t, hello.Session, key.Session)
		require.Equal(t, "b7", key.BootID)
		require.EqualValues(t, 12, key.Epoch)
		require.Equal(t, "card", key.KeyUUID)
		require.EqualValues(t, 7, *key.KeyIndex)
		require.NotContains(t, string(f.Payload), "ann", "the device need not know whose key it is")
		require.Greater(t, key.NotAfterMono, int64(1000))
		latest := 1000 + time.Since(began).Milliseconds() + 5000
		require.LessOrEqual(t, key.NotAfterMono, latest, "the device's clock was at 1000 when it said Hello")
		c.write(string(wire.AppendResult(nil, string(f.ID), &wire.KeyResult{CommandID: "c1"})))
	}
	require.Eventually(t, func() bool { return len(tellings[*lock.AnswerKey](b.grains)) == 3 }, patient, time.Millisecond)
	answer := tellings[*lock.AnswerKey](b.grains)[0]
	require.True(t, answer.Done)
	require.Equal(t, lock.CommandID("c1"), answer.CommandID)

	b.sendKey("c2", lock.ActionAddKey, time.Now().Add(5*time.Second))
	f := c.read()
	c.write(string(wire.AppendError(nil, string(f.ID), wire.CodeNoSpace, "the table is full", &wire.Details{CommandID: "c2", Executed: wire.NotExecuted})))
	require.Eventually(t, func() bool { return len(tellings[*lock.AnswerKey](b.grains)) == 4 }, patient, time.Millisecond)
	refusal := tellings[*lock.AnswerKey](b.grains)[3]
	require.Equal(t, &lock.AnswerKey{
		Session: refusal.Session, CommandID: "c2", Executed: lock.NotExecuted, Code: wire.CodeNoSpace, Message: "the table is full",
	}, refusal)
}

func TestKeysThatCannotLeaveAreRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	c, _ := b.connect()
	b.sendKey("late", lock.ActionAddKey, time.Now().Add(-time.Millisecond))
	late := awaitTold[*lock.AnswerKey](t, b.grains)
	require.Equal(t, lock.CommandID("late"), late.CommandID)
	require.Equal(t, lock.NotExecuted, late.Executed)
	require.Equal(t, wire.CodeExpired, late.Code)

	require.NoError(t, c.ws.Close())
	awaitTold[*lock.DisconnectDevice](t, b.grains)
	b.sendKey("gone", lock.ActionAddKey, time.Now().Add(5*time.Second))
	require.Eventually(t, func() bool { return len(tellings[*lock.AnswerKey](b.grains)) == 2 }, patient, time.Millisecond)
	gone := tellings[*lock.AnswerKey](b.grains)[1]
	require.Equal(t, lock.NotExecuted, gone.Executed)
	require.Equal(t, wire.CodeStaleSession, gone.Code)
}

func TestAnswersAboutKeysThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(id string) []byte{
		"another command": func(id string) []byte { return wire.AppendResult(nil, id, &wire.KeyResult{CommandID: "c9"}) },
		"an outcome of an open": func(id string) []byte {
			return wire.AppendResult(nil, id, &wire.OpenResult{CommandID: "c1"})
		},
		"refuses another command": func(id string) []byte {
			return wire.AppendError(nil, id, wire.CodeBusy, "", &wire.Details{CommandID: "c9"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, transport.Options{})
			c, _ := b.connect()
			b.sendKey("c1", lock.ActionAddKey, time.Now().Add(5*time.Second))
			c.write(string(answer(string(c.read().ID))))
			c.closed(wire.CloseBadFrame)
			require.Empty(t, tellings[*lock.AnswerKey](b.grains))
		})
	}
}

func TestADeviceIsToldHowItShouldBeSetUp(t *testing.T) {
	t.Parallel()
	b := newBench(t, transport.Options{})
	b.grains.connect = func(*lock.ConnectDevice) (lock.Reply, error) {
		return &lock.Greeting{Epoch: 5, Desired: &lock.Config{Number: 4, RelockMs: 7000}}, nil
	}
	c, hello := b.connect()
	require.Equal(t, &wire.Config{Config: 4, RelockMs: 7000}, hello.Desired)

	b.mu.Lock()
	session := b.newest
	b.mu.Unlock()
	b.hub.Send(lockID, &lock.SendConfig{Session: session, Config: lock.Config{Number: 6, RelockMs: 9000}})
	f := c.read()
	require.Equal(t, wire.ActionSetConfig, string(f.Action))
	require.JSONEq(t, `{"config":6,"relockMs":9000}`, string(f.Payload))
	c.write(string(wire.AppendResult(nil, string(f.ID), &wire.ConfigResult{Config: 6})))
	require.Equal(t, &lock.AnswerConfig{Session: session, Number: 6}, awaitTold[*lock.AnswerConfig](t, b.grains))

	b.hub.Send(lockID, &lock.SendConfig{Session: session, Config: lock.Config{Number: 8, RelockMs: 9000}})
	f = c.read()
	c.write(string(wire.AppendError(nil, string(f.ID), wire.CodeUnsupported, "", wire.Empty{})))
	c.call("b1", wire.ActionHeartbeat, &wire.Heartbeat{Mono: 2000})
	require.Equal(t, wire.Result, c.read().Kind, "a device that does not know the action goes on")
	require.Len(t, tellings[*lock.AnswerConfig](b.grains), 1)
}
