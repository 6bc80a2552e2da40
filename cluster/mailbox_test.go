package cluster_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchkey/latchkey/cluster"
)

// gated is a grain kind whose "block" message waits for the gate.
func gated(gate <-chan struct{}, told *atomic.Int32) map[string]*actor.Props {
	return behave(func(ctx actor.Context) {
		switch text(ctx) {
		case "":
		case "block":
			<-gate
			ctx.Respond(wrapperspb.String("blocked"))
		case "tell":
			told.Add(1)
		case "stop":
			ctx.Stop(ctx.Self())
			<-gate
			ctx.Respond(wrapperspb.String("stopping"))
		default:
			ctx.Respond(wrapperspb.String("ok"))
		}
	})
}

func TestFullMailboxAnswersBusyAtOnce(t *testing.T) {
	t.Parallel()
	const size = 8
	gate := make(chan struct{})
	var told atomic.Int32
	node := start(t, cluster.Options{MailboxSize: size, Kinds: gated(gate, &told)})
	answers := make(chan error, 1+size)
	ask := func(text string) {
		_, err := request(t, node, 10*time.Second, "a", text)
		answers <- err
	}
	go ask("block")
	require.Eventually(t, func() bool { return node.Count("grain") == 1 }, 5*time.Second, time.Millisecond)
	var wg sync.WaitGroup
	var ok, busy atomic.Int32
	begin := time.Now()
	for range 3 * size {
		wg.Go(func() {
			switch _, err := request(t, node, 10*time.Second, "a", "hello"); {
			case err == nil:
				ok.Add(1)
			default:
				require.ErrorIs(t, err, cluster.ErrBusy)
				require.NotErrorIs(t, err, cluster.ErrUnknown)
				busy.Add(1)
			}
		})
	}
	require.Eventually(t, func() bool { return busy.Load() >= 2*size }, 5*time.Second, time.Millisecond)
	require.Less(t, time.Since(begin), 5*time.Second)
	for range 3 * size { // what nobody would send again has room of its own
		require.True(t, node.TellLocal("grain", "a", wrapperspb.String("tell")))
	}
	close(gate)
	wg.Wait()
	require.NoError(t, <-answers)
	require.LessOrEqual(t, ok.Load(), int32(size))
	require.GreaterOrEqual(t, ok.Load(), int32(size-1))
	require.Eventually(t, func() bool { return told.Load() >= size }, 5*time.Second, time.Millisecond)
	require.LessOrEqual(t, told.Load(), int32(2*size))
	_, err := request(t, node, 10*time.Second, "a", "hello")
	require.NoError(t, err)
}

func TestRequestsBehindAStopGoToTheNextActivation(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	node := start(t, cluster.Options{Kinds: gated(gate, nil)})
	stopped := make(chan error, 1)
	go func() {
		_, err := request(t, node, 10*time.Second, "a", "stop")
		stopped <- err
	}()
	require.Eventually(t, func() bool { return node.Count("grain") == 1 }, 5*time.Second, time.Millisecond)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := request(t, node, 10*time.Second, "a", "hello")
			require.NoError(t, err)
		})
	}
	close(gate)
	wg.Wait()
	require.NoError(t, <-stopped)
}

// TestStopsUnderLoad stops a grain again and again while many ask it: nobody may get an error or wait for a time-out.
func TestStopsUnderLoad(t *testing.T) {
	t.Parallel()
	node := single(t, map[string]*actor.Props{"grain": echoProps()})
	done := make(chan struct{})
	var stops sync.WaitGroup
	stops.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
				node.Each(func(_, _ string, pid *actor.PID) { node.System().Root.Stop(pid) })
			}
		}
	})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				_, err := request(t, node, 10*time.Second, "a", "hello")
				require.NoError(t, err)
			}
		})
	}
	wg.Wait()
	close(done)
	stops.Wait()
}
