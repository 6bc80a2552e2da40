package cluster_test

import (
	"context"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// BenchmarkRequest is a request of one caller to a grain that runs on this node.
func BenchmarkRequest(b *testing.B) {
	node := single(b, map[string]*actor.Props{"echo": echoProps()})
	msg := wrapperspb.String("hello")
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	_, err := node.Request(ctx, "echo", "42", msg)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := node.Request(ctx, "echo", "42", msg); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRootRequestFuture is what BenchmarkRequest is compared with: protoactor's own request, to a process that is known.
func BenchmarkRootRequestFuture(b *testing.B) {
	system := actor.NewActorSystem(quietSystem)
	pid := system.Root.Spawn(echoProps())
	msg := wrapperspb.String("hello")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := system.Root.RequestFuture(pid, msg, time.Minute).Result(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdleGrain reports what a grain costs that has answered one request and waits for the next.
func BenchmarkIdleGrain(b *testing.B) {
	const grains = 100_000
	node := single(b, map[string]*actor.Props{"echo": echoProps()})
	msg := wrapperspb.String("hello")
	for b.Loop() {
		before := rss(b)
		for i := range grains {
			if _, err := node.Request(b.Context(), "echo", strconv.Itoa(node.Count("none")+i), msg); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(rss(b)-before)/grains, "RSS-B/grain")
		node.Each(func(_, _ string, pid *actor.PID) { node.System().Root.Stop(pid) })
		require.Eventually(b, func() bool { return node.Count("echo") == 0 }, time.Minute, 10*time.Millisecond)
	}
}

// BenchmarkTermination is the start and the end of one grain, with few and with many others on the node.
func BenchmarkTermination(b *testing.B) {
	for _, others := range []int{1_000, 100_000} {
		b.Run(strconv.Itoa(others), func(b *testing.B) {
			node := single(b, map[string]*actor.Props{"echo": echoProps()})
			msg := wrapperspb.String("hello")
			for i := range others {
				_, err := node.Request(b.Context(), "echo", "other-"+strconv.Itoa(i), msg)
				require.NoError(b, err)
			}
			for i := 0; b.Loop(); i++ {
				identity := strconv.Itoa(i)
				if _, err := node.Request(b.Context(), "echo", identity, msg); err != nil {
					b.Fatal(err)
				}
				pid := actor.NewPID(node.System().Address(), "echo/"+identity)
				require.NoError(b, node.System().Root.StopFuture(pid).Wait())
			}
		})
	}
}

// rss is the memory of this process that is resident, once what is free has been given back.
func rss(b *testing.B) int {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			require.NoError(b, err)
			return n << 10
		}
	}
	b.Fatal("no VmRSS")
	return 0
}
