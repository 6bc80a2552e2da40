package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/latchkey/latchkey/cluster/clusterpb"
)

// The pause before a request that was not executed is sent again: random, so that many callers do not come back together.
const (
	minBackoff = 10 * time.Millisecond
	maxBackoff = 100 * time.Millisecond
)

// Request sends a message to a grain, wherever it is, starts the grain when it is not running, and waits for the answer. It
// is the only way to ask a grain.
//
// What was certainly not executed (the grain stops, moves, or answers Retry) is sent again until ctx is done; a message that
// was delivered is never sent twice. A full mailbox is ErrBusy at once. After an error that is ErrUnknown the caller does not
// know whether the message was executed.
//
// The message and the answer are shared with the grain when it is on this node, so nobody may change them. They have to be
// protobuf messages (or a remote.RootSerializable) to reach another node.
func (n *Node) Request(ctx context.Context, kind, identity string, msg any) (any, error) {
	answer, err := n.request(ctx, kind, identity, msg)
	n.metrics.count(err)
	return answer, err
}

func (n *Node) request(ctx context.Context, kind, identity string, msg any) (any, error) {
	for attempt := 0; ; attempt++ {
		answer, err := n.try(ctx, kind, identity, msg)
		switch {
		case errors.Is(err, errStale) && attempt == 0: // where the grain is now is asked at once
		case !errors.Is(err, errRetry):
			return answer, err
		case !pause(ctx, attempt):
			return nil, fmt.Errorf("%w: %w: %w", ErrUnavailable, context.Cause(ctx), err)
		}
		n.metrics.retries.Inc()
		if attempt == 0 { // only now, since nearly all requests need no more time than the first attempt takes
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, n.options.RequestTimeout)
			defer cancel()
		}
	}
}

// errRetry is in the errors after which the same message may be sent again; errStale is the one of a grain that has left the
// place where it was known to be.
var (
	errRetry = errors.New("not executed")
	errStale = fmt.Errorf("%w: the grain is not there", errRetry)
)

// try sends the message once.
func (n *Node) try(ctx context.Context, kind, identity string, msg any) (any, error) {
	if n.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: this node is closed", ErrUnavailable)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
	pid, err := n.lookup.locate(ctx, kind, identity)
	if err != nil {
		if errors.Is(err, ErrFailed) || errors.Is(err, ErrKind) || errors.Is(err, ErrBusy) {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %v", errRetry, err) // its own outcome does not matter: it only asked for the grain
	}
	answer, err := n.replies.request(ctx, pid, msg, n.options.RequestTimeout)
	if err != nil {
		if errors.Is(err, ErrUnknown) {
			n.lookup.forget(kind, identity)
		}
		return nil, err
	}
	switch a := answer.(type) {
	case *clusterpb.Busy:
		return nil, ErrBusy
	case *clusterpb.Retry:
		if a.PerhapsExecuted {
			return nil, ErrStopped
		}
		return nil, errRetry
	case *actor.DeadLetterResponse:
		n.lookup.forget(kind, identity)
		return nil, errStale
	case *clusterpb.Failed:
		return nil, fmt.Errorf("%w: %s", ErrFailed, a.Reason)
	}
	return answer, nil
}

// pause waits before the next attempt; it reports false when ctx is done.
func pause(ctx context.Context, attempt int) bool {
	most := min(minBackoff<<min(attempt+1, 4), maxBackoff)
	return wait(ctx, minBackoff+rand.N(most-minBackoff+1))
}
