package cluster_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/latchkey/latchkey/cluster"
)

// echo answers a string with its grain's identity and the string.
type echo struct{}

func (e *echo) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *wrapperspb.StringValue:
		_, identity := cluster.Identity(ctx.Self())
		ctx.Respond(wrapperspb.String(identity + ":" + m.Value))
	}
}

func echoProps() *actor.Props { return actor.PropsFromProducer(func() actor.Actor { return &echo{} }) }

func single(t testing.TB, kinds map[string]*actor.Props) *cluster.Node {
	t.Helper()
	return start(t, cluster.Options{Kinds: kinds})
}

// start runs a node with an etcd of its own, unless o says otherwise, and drains it at the end of the test.
func start(t testing.TB, o cluster.Options) *cluster.Node {
	t.Helper()
	if o.EtcdDir == "" {
		o.EtcdDir = t.TempDir()
	}
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	node, err := cluster.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = node.Drain(ctx) // the test that is about draining has looked at its error
	})
	return node
}

func TestOneNodeAnswers(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	node := single(t, map[string]*actor.Props{"echo": echoProps()})
	t.Log("started in", time.Since(begin))
	require.NoError(t, node.Ready())
	require.Len(t, node.Members(), 1)
	answer, err := node.Request(t.Context(), "echo", "42", wrapperspb.String("hello"))
	require.NoError(t, err)
	require.Equal(t, "42:hello", answer.(*wrapperspb.StringValue).Value)
	require.Equal(t, 1, node.Count("echo"))
	begin = time.Now()
	require.NoError(t, node.Drain(t.Context()))
	t.Log("drained in", time.Since(begin))
	require.Equal(t, 0, node.Count("echo"))
	require.ErrorIs(t, node.Ready(), cluster.ErrNotMember)
}

// Answers that grains owe have to be given before a drain has succeeded; those that wait for their time have half of its time.
func TestDrainWaitsForAnswers(t *testing.T) {
	t.Parallel()
	none, always := func() int { return 0 }, func() int { return 1 }
	for name, c := range map[string]struct {
		owed, late func() int
		least      time.Duration
		err        error
	}{
		"none": {none, none, 0, nil},
		"late": {none, always, time.Second, nil},
		"owed": {always, none, 2 * time.Second, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := start(t, cluster.Options{Kinds: map[string]*actor.Props{"echo": echoProps()}, Owed: c.owed, Late: c.late})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			begin := time.Now()
			require.ErrorIs(t, node.Drain(ctx), c.err)
			require.GreaterOrEqual(t, time.Since(begin), c.least*9/10)
		})
	}
}

var quietSystem = actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })
