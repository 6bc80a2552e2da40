package actors

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/lock"
)

// unread is a journal whose states cannot be read while the gate is there.
type unread struct {
	*gated
	gate chan struct{}
}

func (u *unread) LoadSnapshot(ctx context.Context, stream string) (journal.Snapshot, bool, error) {
	if u.gate != nil {
		<-u.gate
	}
	return u.gated.LoadSnapshot(ctx, stream)
}

// A grain that is told to stop because its lock is another node's begins nothing more: what waited for its state is for the next
// activation, also when the state has come in the same moment.
func TestAGrainThatStopsBeginsNothing(t *testing.T) {
	t.Parallel()
	j := &unread{gated: newGated(t)}
	w := start(t, j, nil)
	id := w.newLock()
	key := w.newKey(id, 1)
	stop := func() { node.System().Root.Stop(w.pids()[0]) }
	awaitActivations := func(n float64) {
		require.Eventually(t, func() bool { return w.metric("activations") == n }, 5*time.Second, time.Millisecond)
	}
	stop()
	awaitActivations(0)
	img := new(image)
	require.NoError(t, w.shell.replay(t.Context(), Stream(id), img))

	j.gate = make(chan struct{})
	open := sync.OnceFunc(func() { close(j.gate) })
	defer open()
	j.gated.seen = nil
	deleted := w.ask(id, &lock.DeleteTempKey{By: owner, TempKeyID: key})
	require.Eventually(t, func() bool { return w.metric("stashed_requests") == 1 }, 5*time.Second, time.Millisecond)
	w.shell.mu.Lock()
	first := slices.Collect(maps.Keys(w.shell.grains))[0]
	w.shell.mu.Unlock()
	first.loaded.Store(img) // and before it hears of that:
	stop()
	require.Eventually(t, func() bool {
		pids := w.pids()
		return len(pids) == 1 && pids[0] != first.pid && w.metric("stashed_requests") == 1
	}, 5*time.Second, time.Millisecond, "the request is not with the next activation")
	require.Empty(t, j.appends(), "it decided something at its end")
	open()
	require.NoError(t, (<-deleted).err)
	require.Len(t, j.appends(), 1)
}
