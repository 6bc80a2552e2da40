package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

const (
	leaveTimeout = 3 * time.Second
	grainPoll    = 5 * time.Millisecond
	// deadLetterPause is how long protoactor counts messages to grains that have gone before it logs again. A goroutine waits
	// for that even when the node has been closed.
	deadLetterPause = 100 * time.Millisecond
	leastToClose    = time.Second            // for what has to be closed when the time is over
	settleTime      = 250 * time.Millisecond // for answers that are on their way, and for the others' requests to turn away
)

// leave takes this node out of everybody's view; the change of its own view stops its grains. It is no failure of the drain when
// etcd does not answer: nothing is lost, only the others wait for the end of the lease.
func (n *Node) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := n.membership.leave(ctx); err != nil {
		n.logger.Warn("etcd does not answer, so the lease of this node will run out", slog.Any("error", err))
	}
}

// awaitGrains waits until every grain has stopped and has said its last word. For answers that only wait for their time it takes no more
// than half of what there is: their callers hear from the end of the connection that nobody knows, and the rest has to end in time.
func (n *Node) awaitGrains(ctx context.Context) error {
	half := time.Hour
	if end, ok := ctx.Deadline(); ok {
		half = time.Until(end) / 2
	}
	patient, cancel := context.WithTimeout(ctx, half)
	defer cancel()
	tick := time.NewTicker(grainPoll)
	defer tick.Stop()
	for {
		running := n.options.Owed()
		for _, a := range n.lookup.kinds {
			running += a.count()
		}
		if running == 0 && (n.options.Late() == 0 || patient.Err() != nil) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cluster: %d grains have not stopped, and nothing that was answered is lost: give the drain more time if that happens often: %w", running, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// settle gives the other nodes a moment. Alone there is nobody to wait for.
func (n *Node) settle(ctx context.Context) {
	if len(n.Members()) == 0 {
		return
	}
	t := time.NewTimer(settleTime)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// close ends what has been started, in the reverse order. It is also the way out of a start that failed, so every part may
// be missing. protoactor's own Cluster.Shutdown is not used: it ends the actor system before the grains, and sleeps. Neither is
// the graceful end of its remote: that asks the peers to disconnect, upon which they connect again and again.
func (n *Node) close(ctx context.Context) {
	n.cancel()
	if n.membership != nil && n.membership.stop != nil {
		if err := n.membership.Shutdown(!n.membership.left.Load()); err != nil {
			n.logger.Warn("node did not leave in etcd, its lease will run out", slog.Any("error", err))
		}
	}
	if n.remote != nil {
		n.connections.close(n.system)
		n.remote.Shutdown(false)
	}
	if n.system != nil {
		if n.lookup.sub != nil {
			n.lookup.Shutdown()
		}
		n.system.EventStream.Unsubscribe(n.connections.sub)
		n.system.Shutdown()
	}
	if n.client != nil {
		_ = n.client.Close() // whatever it says, it is closed
	}
	if n.etcd != nil && !endsWithin(ctx, n.etcd.Close) {
		n.logger.Warn("etcd is left as it is, for it did not close in time; does the disk answer?")
	}
	n.metrics.unregister()
}

// endsWithin runs what takes no context and may wait for a disk that hangs. It reports false when the time is over, and leaves it running:
// nothing of it is needed any more. Without a deadline it waits.
func endsWithin(ctx context.Context, f func()) bool {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f()
	}()
	var late <-chan time.Time
	if end, ok := ctx.Deadline(); ok {
		t := time.NewTimer(max(time.Until(end), leastToClose))
		defer t.Stop()
		late = t.C
	}
	select {
	case <-ended:
		return true
	case <-late:
		return false
	}
}
