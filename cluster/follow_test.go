package cluster

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/require"
)

func TestFollow(t *testing.T) {
	t.Parallel()
	n := &Node{system: actor.NewActorSystem()}
	t.Cleanup(n.system.Shutdown)
	var told []string
	stop := n.Follow(func() { told = append(told, "changed") }, func(addr string) { told = append(told, addr) })
	publish := func() {
		n.system.EventStream.Publish(&pcluster.ClusterTopology{})
		n.system.EventStream.Publish(&remote.EndpointTerminatedEvent{Address: "a:1"})
	}
	publish()
	stop()
	publish()
	require.Equal(t, []string{"changed", "a:1"}, told)
}
