package cluster

import (
	"log/slog"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
)

// homing counts how often it comes back.
type homing struct{ back int }

func (h *homing) Returned() { h.back++ }

// What nobody takes comes back when nobody waits for its answer. Who waits is told, and sends it again: it may not come back, too.
func TestOnlyWhatNobodyWaitsForComesBack(t *testing.T) {
	t.Parallel()
	system := actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(deadLetterPause),
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	t.Cleanup(system.Shutdown)
	new(connections).follow(system)
	waits, gone := system.NewLocalPID("waits"), system.NewLocalPID("gone")
	for name, send := range map[string]func(msg Returnable, sender *actor.PID){
		"to a process that is gone": func(msg Returnable, sender *actor.PID) {
			system.Root.Send(gone, &actor.MessageEnvelope{Message: msg, Sender: sender})
		},
		"to a node, when the remote is closed": func(msg Returnable, sender *actor.PID) { // so it says then
			system.EventStream.Publish(&actor.DeadLetterEvent{PID: gone, Message: &queued{message: msg}, Sender: sender})
		},
	} {
		var told, asked homing
		send(&told, nil)
		require.Equal(t, 1, told.back, name)
		for range 5 {
			send(&asked, waits)
		}
		require.Zero(t, asked.back, name)
	}
}
