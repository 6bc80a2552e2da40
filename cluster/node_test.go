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

var quietSystem = actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) })
