package cluster_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchkey/latchkey/cluster"
)

// letter counts how often it comes back.
type letter struct{ back *atomic.Int32 }

func (l letter) Returned() { l.back.Add(1) }

// Each message that nobody waits for gets to its grain, or comes back: from a mailbox that is full, and from one that stops.
func TestWhatCannotBeToldComesBack(t *testing.T) {
	t.Parallel()
	const size, letters = 8, 100
	var told, back atomic.Int32
	gate := make(chan struct{})
	blocked := make(chan struct{}, 1)
	node := start(t, cluster.Options{MailboxSize: size, Kinds: behave(func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case letter:
			told.Add(1)
		case *wrapperspb.StringValue:
			if m.Value == "stop" {
				ctx.Stop(ctx.Self())
			}
			blocked <- struct{}{}
			<-gate
		}
	})})
	for _, how := range []string{"full", "stop"} {
		told.Store(0)
		back.Store(0)
		require.True(t, node.TellLocal("grain", "a", wrapperspb.String(how)))
		<-blocked
		for range letters {
			require.True(t, node.TellLocal("grain", "a", letter{&back}))
		}
		require.EqualValues(t, letters-2*size, back.Load())
		gate <- struct{}{}
		require.Eventually(t, func() bool { return told.Load()+back.Load() == letters }, 5*time.Second, time.Millisecond)
		if how == "stop" {
			require.Zero(t, told.Load())
		}
	}
}
