package cluster

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/require"
)

// A node that cannot be reached is told of at once and then at growing intervals, each node for itself; everything else is told always.
func TestTroubleIsToldAtGrowingIntervals(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	trouble := &troubles{all: map[string]*trouble{}}
	h := slog.Handler(calm{slog.NewTextHandler(&out, nil), trouble}).WithAttrs([]slog.Attr{slog.String("lib", "protoactor")}).WithGroup("remote")
	begin := time.Now()
	told := func(message, addr string, at time.Duration) bool {
		out.Reset()
		r := slog.NewRecord(begin.Add(at), slog.LevelError, message, 0)
		r.AddAttrs(slog.String("address", addr), slog.Any("error", errors.New("refused")))
		require.NoError(t, h.Handle(t.Context(), r))
		require.Equal(t, out.Len() > 0, strings.Contains(out.String(), "level=WARN"))
		return out.Len() > 0
	}
	const receive, connect = "EndpointWriter failed to receive connect response", "EndpointWriter failed to connect"
	var when []time.Duration
	for at := time.Duration(0); at < time.Hour; at += 2 * time.Second {
		if told(receive, "a:1", at) {
			when = append(when, at)
		}
		require.False(t, told(connect, "a:1", at), "which is the same")
	}
	minute := time.Minute
	require.Equal(t, []time.Duration{
		0, 6 * time.Second, 16 * time.Second, 36 * time.Second, 76 * time.Second, 156 * time.Second, 316 * time.Second, 636 * time.Second,
		20*minute + 36*time.Second, 30*minute + 36*time.Second, 40*minute + 36*time.Second, 50*minute + 36*time.Second,
	}, when, "and not less often than every ten minutes")
	require.True(t, told(connect, "b:1", time.Hour), "another node")
	require.True(t, told("EndpointWriter failed to serialize message", "a:1", time.Hour))
	require.True(t, told("EndpointWriter failed to serialize message", "a:1", time.Hour))

	trouble.over("a:1")
	require.True(t, told(connect, "a:1", time.Hour))
}

// The end of a trouble is told once.
func TestEndOfTroubleIsTold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	silent := func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }
	system := actor.NewActorSystem(actor.WithLoggerFactory(silent))
	t.Cleanup(system.Shutdown)
	c := &connections{
		broken: func(string) {}, logger: slog.New(slog.NewTextHandler(&out, nil)), trouble: &troubles{all: map[string]*trouble{}},
	}
	c.follow(system)
	connected := func() { system.EventStream.Publish(&remote.EndpointConnectedEvent{Address: "a:1"}) }
	connected()
	require.Empty(t, out.String(), "that is as it should be")
	require.True(t, c.trouble.tell("a:1", time.Now()))
	connected()
	connected()
	require.Equal(t, 1, strings.Count(out.String(), "connected to the other node again"), out.String())
	require.Contains(t, out.String(), "a:1")
}

// A member is greeted when it has been missed for longer than its lease lasts, and counted when that was in vain. A connection ends
// that, and so does the end of its membership.
func TestMembersWithoutConnection(t *testing.T) {
	t.Parallel()
	const wait, counted = 6 * time.Second, 6*time.Second + triedLongEnough
	c := &connections{open: map[string]bool{"b:1": true}, wait: wait}
	members := []Member{{ID: "a", Addr: "a:1"}, {ID: "b", Addr: "b:1"}, {ID: "self", Addr: "c:1", Self: true}}
	begin := time.Now()
	require.Empty(t, c.look(members, begin))
	require.Empty(t, c.look(members, begin.Add(wait-1)))
	require.Equal(t, []string{"a:1"}, c.look(members, begin.Add(wait)))
	require.Zero(t, c.unreachable(begin.Add(counted-1)))
	require.Equal(t, 1, c.unreachable(begin.Add(counted)))
	require.Empty(t, c.look(members[1:], begin.Add(counted)))
	require.Zero(t, c.unreachable(begin.Add(time.Hour)))
}
