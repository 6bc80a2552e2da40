package cluster

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchkey/latchkey/cluster/clusterpb"
)

// A grain executes nothing more from the moment in which its node knows that it is another's, told to stop or not: it answers
// Retry at once, to whoever asks and to who has waited already. Only what it is just doing is done to the end.
func TestGrainsThatMovedActNoMore(t *testing.T) {
	t.Parallel()
	const grains, waiting = 1000, 50
	var executed atomic.Int64
	begun, gate := make(chan struct{}, 1), make(chan struct{})
	metrics := prometheus.NewRegistry()
	node, err := Start(t.Context(), Options{Registerer: metrics, EtcdDir: t.TempDir(), Kinds: map[string]*actor.Props{"grain": actor.PropsFromFunc(func(ctx actor.Context) {
		if m, ok := ctx.Message().(*wrapperspb.StringValue); ok {
			if executed.Add(1); m.Value == "block" {
				begun <- struct{}{}
				<-gate
			}
			ctx.Respond(m)
		}
	})}})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), etcdTimeout)
		defer cancel()
		require.NoError(t, node.Drain(ctx))
	})
	for i := range grains {
		_, err := node.Request(t.Context(), "grain", strconv.Itoa(i), wrapperspb.String("hello"))
		require.NoError(t, err)
	}
	ask := func(pid *actor.PID, text string) *actor.Future {
		return node.system.Root.RequestFuture(pid, wrapperspb.String(text), etcdTimeout)
	}

	next := newView([]Member{node.Members()[0], {ID: "another", Addr: "127.0.0.1:1", Kinds: []string{"grain"}}})
	next.number = node.lookup.view.Load().number + 1
	var moved []*actor.PID
	node.Each(func(kind, identity string, pid *actor.PID) {
		if !next.owns(kind, hash(identity)) {
			moved = append(moved, pid)
		}
	})
	busy := ask(moved[0], "block")
	<-begun
	var behind []*actor.Future
	for range waiting {
		behind = append(behind, ask(moved[0], "behind"))
	}
	executed.Store(0)
	node.lookup.view.Store(next) // and nobody is told

	for _, pid := range moved[1:] {
		answer, err := ask(pid, "hello").Result()
		require.NoError(t, err)
		require.IsType(t, &clusterpb.Retry{}, answer)
	}
	close(gate)
	answer, err := busy.Result()
	require.NoError(t, err)
	require.Equal(t, "block", answer.(*wrapperspb.StringValue).Value)
	for _, f := range behind {
		answer, err := f.Result()
		require.NoError(t, err)
		require.IsType(t, &clusterpb.Retry{}, answer)
	}
	require.Zero(t, executed.Load())
	require.Equal(t, grains, node.Count("grain"))

	require.Equal(t, len(moved), node.lookup.evict(next))
	require.Zero(t, node.lookup.evict(next), "those that stop already are not told again")
	require.Eventually(t, func() bool { return node.Count("grain") == grains-len(moved) }, etcdTimeout, time.Millisecond)
	require.Equal(t, 1, evictions(t, metrics))
	node.Each(func(_, identity string, pid *actor.PID) {
		_, err := ask(pid, "hello").Result()
		require.NoError(t, err, identity)
	})
	require.EqualValues(t, grains-len(moved), executed.Load())
}

func evictions(t *testing.T, metrics *prometheus.Registry) int {
	families, err := metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "latchkey_cluster_eviction_seconds" {
			return int(f.GetMetric()[0].GetHistogram().GetSampleCount())
		}
	}
	return 0
}

// BenchmarkEviction is a change of the members that moves all grains of a node.
func BenchmarkEviction(b *testing.B) {
	for _, grains := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(grains), func(b *testing.B) {
			node, err := Start(b.Context(), Options{EtcdDir: b.TempDir(), Kinds: map[string]*actor.Props{"grain": actor.PropsFromFunc(func(ctx actor.Context) {
				if m, ok := ctx.Message().(*wrapperspb.StringValue); ok {
					ctx.Respond(m)
				}
			})}})
			require.NoError(b, err)
			here := node.lookup.view.Load()
			var took time.Duration
			for b.Loop() {
				node.lookup.view.Store(here)
				for i := range grains {
					_, err := node.Request(b.Context(), "grain", strconv.Itoa(i), wrapperspb.String("hello"))
					require.NoError(b, err)
				}
				gone := newView(nil)
				gone.number = here.number + 1
				began := time.Now()
				node.lookup.view.Store(gone)
				require.Equal(b, grains, node.lookup.evict(gone))
				require.Eventually(b, func() bool { return node.Count("grain") == 0 }, time.Minute, time.Millisecond)
				took += time.Since(began)
			}
			b.ReportMetric(float64(took.Milliseconds())/float64(b.N), "ms/eviction")
			require.NoError(b, node.Drain(b.Context()))
		})
	}
}
