package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchkey/latchkey/cluster"
)

// behave runs f as the Receive of a grain kind named "grain".
func behave(f func(ctx actor.Context)) map[string]*actor.Props {
	return map[string]*actor.Props{"grain": actor.PropsFromFunc(f)}
}

func request(t testing.TB, node *cluster.Node, timeout time.Duration, identity, text string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	answer, err := node.Request(ctx, "grain", identity, wrapperspb.String(text))
	if err != nil {
		return "", err
	}
	return answer.(*wrapperspb.StringValue).Value, nil
}

func text(ctx actor.Context) string {
	if m, ok := ctx.Message().(*wrapperspb.StringValue); ok {
		return m.Value
	}
	return ""
}

// counting is a node whose grains count the texts that they get, and answer the nth.
func counting(t *testing.T, answer func(ctx actor.Context, n int64)) (*cluster.Node, *atomic.Int64) {
	t.Helper()
	received := new(atomic.Int64)
	return single(t, behave(func(ctx actor.Context) {
		if text(ctx) != "" {
			answer(ctx, received.Add(1))
		}
	})), received
}

func TestRequestThatIsNotAnsweredIsNotSentAgain(t *testing.T) {
	t.Parallel()
	node, received := counting(t, func(actor.Context, int64) {})
	_, err := request(t, node, 300*time.Millisecond, "a", "silent")
	require.ErrorIs(t, err, cluster.ErrTimeout)
	require.ErrorIs(t, err, cluster.ErrUnknown)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualValues(t, 1, received.Load())
}

func TestRequestWithoutDeadlineIsBounded(t *testing.T) {
	t.Parallel()
	node := start(t, cluster.Options{
		RequestTimeout: 50 * time.Millisecond, Kinds: behave(func(actor.Context) {}),
	})
	_, err := node.Request(t.Context(), "grain", "a", wrapperspb.String("silent"))
	require.ErrorIs(t, err, cluster.ErrTimeout)
}

func TestRetryIsSentAgainUntilItIsExecuted(t *testing.T) {
	t.Parallel()
	node, tries := counting(t, func(ctx actor.Context, n int64) {
		if n < 4 {
			ctx.Respond(cluster.Retry)
			ctx.Stop(ctx.Self())
			return
		}
		ctx.Respond(wrapperspb.String("done"))
	})
	answer, err := request(t, node, 5*time.Second, "a", "go")
	require.NoError(t, err)
	require.Equal(t, "done", answer)
	require.EqualValues(t, 4, tries.Load())
}

func TestRetryForEverIsUnavailableAndNotExecuted(t *testing.T) {
	t.Parallel()
	node, _ := counting(t, func(ctx actor.Context, _ int64) { ctx.Respond(cluster.Retry) })
	// A deadline that passes between an attempt and its answer leaves the outcome unknown, and only then.
	var err error
	require.Eventually(t, func() bool {
		_, err = request(t, node, 300*time.Millisecond, "a", "go")
		return !errors.Is(err, cluster.ErrUnknown)
	}, 10*time.Second, time.Millisecond)
	require.ErrorIs(t, err, cluster.ErrUnavailable)
}

func TestAskAgainIsUnknownAndNotRetriedHere(t *testing.T) {
	t.Parallel()
	node, received := counting(t, func(ctx actor.Context, _ int64) { ctx.Respond(cluster.AskAgain) })
	_, err := request(t, node, 5*time.Second, "a", "go")
	require.ErrorIs(t, err, cluster.ErrStopped)
	require.ErrorIs(t, err, cluster.ErrUnknown)
	require.EqualValues(t, 1, received.Load())
}

func TestPanicIsAnsweredAndTheGrainStartsAgain(t *testing.T) {
	t.Parallel()
	node := single(t, behave(func(ctx actor.Context) {
		switch text(ctx) {
		case "":
		case "panic":
			panic("boom")
		default:
			ctx.Respond(wrapperspb.String("alive"))
		}
	}))
	_, err := request(t, node, 5*time.Second, "a", "panic")
	require.ErrorIs(t, err, cluster.ErrFailed)
	require.ErrorContains(t, err, "boom")
	answer, err := request(t, node, 5*time.Second, "a", "hello")
	require.NoError(t, err)
	require.Equal(t, "alive", answer)
}

func TestPanicWhileStoppingStops(t *testing.T) {
	t.Parallel()
	node := single(t, behave(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Stopping:
			panic("boom")
		case *wrapperspb.StringValue:
			ctx.Respond(wrapperspb.String("alive"))
		}
	}))
	for range 3 {
		_, err := request(t, node, 5*time.Second, "a", "hello")
		require.NoError(t, err)
		node.Each(func(_, _ string, pid *actor.PID) { node.System().Root.Stop(pid) })
		require.Eventually(t, func() bool { return node.Count("grain") == 0 }, 5*time.Second, time.Millisecond)
	}
}

func TestPanicInTheProducerHurtsOnlyItsGrain(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	node := single(t, map[string]*actor.Props{"grain": actor.PropsFromProducer(func() actor.Actor {
		if broken.Load() {
			panic("cannot be made")
		}
		return &echo{}
	})})
	_, err := request(t, node, 5*time.Second, "a", "hello")
	require.NoError(t, err)
	broken.Store(true)
	_, err = request(t, node, 5*time.Second, "b", "hello")
	require.ErrorIs(t, err, cluster.ErrFailed)
	_, err = request(t, node, 5*time.Second, "a", "hello")
	require.NoError(t, err)
	require.Equal(t, 1, node.Count("grain"))
}

func TestUnknownKind(t *testing.T) {
	t.Parallel()
	node := single(t, behave(func(actor.Context) {}))
	_, err := node.Request(t.Context(), "other", "a", wrapperspb.String(""))
	require.ErrorIs(t, err, cluster.ErrKind)
	require.False(t, node.TellLocal("other", "a", wrapperspb.String("")))
	require.Empty(t, node.Owner("other", "a"))
}

func TestLateAnswerReachesNobody(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	node := single(t, behave(func(ctx actor.Context) {
		switch text(ctx) {
		case "":
		case "late":
			sender := ctx.Sender()
			root := ctx.ActorSystem().Root
			go func() {
				<-release
				for range 3 {
					root.Send(sender, wrapperspb.String("late"))
				}
			}()
		default:
			ctx.Respond(wrapperspb.String(text(ctx)))
		}
	}))
	_, err := request(t, node, 50*time.Millisecond, "a", "late")
	require.ErrorIs(t, err, cluster.ErrTimeout)
	close(release)
	for i := range 1000 {
		want := fmt.Sprint(i)
		got, err := request(t, node, 5*time.Second, "a", want)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestTellReachesTheGrainAndStartsIt(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	node := single(t, behave(func(ctx actor.Context) {
		if s := text(ctx); s != "" {
			got <- s
		}
	}))
	require.True(t, node.TellLocal("grain", "a", wrapperspb.String("hello")))
	require.Equal(t, node.System().ID, node.Owner("grain", "a"))
	select {
	case s := <-got:
		require.Equal(t, "hello", s)
	case <-time.After(5 * time.Second):
		t.Fatal("the message did not arrive")
	}
}

func TestGrainsThatHaveStoppedStartAgain(t *testing.T) {
	t.Parallel()
	node := single(t, behave(func(ctx actor.Context) {
		switch text(ctx) {
		case "":
		case "passivate":
			ctx.Stop(ctx.Self())
		default:
			ctx.Respond(wrapperspb.String("ok"))
		}
	}))
	for i := range 500 {
		_, err := request(t, node, 5*time.Second, fmt.Sprint(i), "hello")
		require.NoError(t, err)
	}
	require.Equal(t, 500, node.Count("grain"))
	node.Each(func(_, _ string, pid *actor.PID) { node.System().Root.Send(pid, wrapperspb.String("passivate")) })
	require.Eventually(t, func() bool { return node.Count("grain") == 0 }, 5*time.Second, time.Millisecond)
	_, err := request(t, node, 5*time.Second, "7", "hello")
	require.NoError(t, err)
}

func TestDrainGivesGrainsTheirTimeAndEndsRequests(t *testing.T) {
	t.Parallel()
	const grains = 20
	var stopping, stopped atomic.Int32
	release := make(chan struct{})
	node := single(t, behave(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Stopping:
			stopping.Add(1)
			<-release
			stopped.Add(1)
		case *wrapperspb.StringValue:
			ctx.Respond(wrapperspb.String("ok"))
		}
	}))
	for i := range grains {
		_, err := request(t, node, 5*time.Second, fmt.Sprint(i), "hello")
		require.NoError(t, err)
	}
	drained := make(chan error, 1)
	go func() { drained <- node.Drain(t.Context()) }()
	require.Eventually(t, func() bool { return stopping.Load() == grains }, 5*time.Second, time.Millisecond)
	require.Empty(t, drained, "it waits for the grains")
	close(release)
	require.NoError(t, <-drained)
	require.EqualValues(t, grains, stopped.Load())
	_, err := request(t, node, 100*time.Millisecond, "1", "hello")
	require.ErrorIs(t, err, cluster.ErrUnavailable)
	require.False(t, node.TellLocal("grain", "1", wrapperspb.String("hello")))
}

func TestDrainHasADeadline(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	node := start(t, cluster.Options{Kinds: behave(func(ctx actor.Context) {
		switch ctx.Message().(type) {
		case *actor.Stopping:
			<-release
		case *wrapperspb.StringValue:
			ctx.Respond(wrapperspb.String("ok"))
		}
	})})
	_, err := request(t, node, 5*time.Second, "a", "hello")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, node.Drain(ctx), context.DeadlineExceeded)
	close(release)
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	node := start(t, cluster.Options{Registerer: registry, Kinds: behave(func(ctx actor.Context) {
		if text(ctx) != "" {
			ctx.Respond(wrapperspb.String("ok"))
		}
	})})
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			_, err := request(t, node, 5*time.Second, fmt.Sprint(i), "hello")
			require.NoError(t, err)
		})
	}
	wg.Wait()
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.Metric {
			name := family.GetName()
			for _, label := range metric.Label {
				name += "/" + label.GetValue()
			}
			values[name] = metric.Counter.GetValue() + metric.Gauge.GetValue()
		}
	}
	require.EqualValues(t, 10, values["latchkey_cluster_requests_total/ok"])
	require.EqualValues(t, 0, values["latchkey_cluster_requests_total/busy"])
	require.EqualValues(t, 10, values["latchkey_cluster_grains/grain"])
	require.EqualValues(t, 10, values["latchkey_cluster_activations_total"])
	require.EqualValues(t, 1, values["latchkey_cluster_members"])
	require.NoError(t, node.Drain(t.Context()))
	again := start(t, cluster.Options{Registerer: registry, Kinds: map[string]*actor.Props{"grain": echoProps()}})
	require.NoError(t, again.Ready(), "a node can follow another in one process")
}
