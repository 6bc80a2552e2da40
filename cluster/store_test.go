package cluster

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A node with a journal of its own would take the locks of the others for ones that were never there.
func TestMembersShareAStore(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	m1 := newPeer(t, e, "m1", Options{Store: "a"}).join()
	m2 := newPeer(t, e, "m2", Options{Store: "b"})
	require.ErrorIs(t, m2.start(t.Context()), ErrOtherStore)
	require.Equal(t, "m1", m1.sees())
	newPeer(t, e, "m3", Options{Store: "a"}).join()
	newPeer(t, e, "m4", Options{}).join()
	m1.awaits("m1 m3 m4")
	require.NoError(t, m1.Shutdown(true))

	// What a node finds at its own address was itself, with whatever store.
	again := newPeer(t, startEtcdServer(t), "m1", Options{Store: "a"}).join()
	again.die()
	moved := newPeerAt(t, again.client, "m2", Options{Store: "b"})
	moved.self.Addr = again.self.Addr
	require.Equal(t, "m2", moved.join().sees())
}

// Two that start at the same time have not met in the list that each has read first.
func TestOnlyOneStoreWinsARace(t *testing.T) {
	t.Parallel()
	e := startEtcdServer(t)
	var joined atomic.Int32
	var racers sync.WaitGroup
	for i := range 8 {
		p := newPeer(t, e, fmt.Sprintf("m%d", i), Options{Store: fmt.Sprint(i)})
		racers.Go(func() {
			err := p.start(t.Context())
			if err == nil {
				joined.Add(1)
				t.Cleanup(p.die)
			} else {
				assert.ErrorIs(t, err, ErrOtherStore)
			}
		})
	}
	racers.Wait()
	require.EqualValues(t, 1, joined.Load())
}
