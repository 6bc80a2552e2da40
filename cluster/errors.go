package cluster

import (
	"errors"
	"fmt"
)

// What Request returns besides an answer. The first group was not executed and may be sent again; of the second nobody knows
// (errors.Is(err, ErrUnknown)), so only a message with an idempotency key may be sent again.
var (
	// ErrBusy says that the grain's mailbox is full, or that too many messages wait for the connection to its node.
	ErrBusy = errors.New("cluster: the grain or its node has too many requests waiting")
	// ErrUnavailable says that no grain took the request before its deadline.
	ErrUnavailable = errors.New("cluster: no node took the request in time")
	// ErrKind says that no member of the cluster runs grains of this kind.
	ErrKind = errors.New("cluster: unknown kind")
	// ErrMessage says that the grain is on another node and the message is no protobuf.
	ErrMessage = errors.New("cluster: the message cannot travel to another node")

	// ErrUnknown is in every error after which the request may have been executed or not.
	ErrUnknown = errors.New("outcome unknown")
	// ErrTimeout says that the grain has got the request and did not answer in time.
	ErrTimeout = fmt.Errorf("cluster: no answer in time, %w", ErrUnknown)
	// ErrLost says that the node went away to which the request had been sent.
	ErrLost = fmt.Errorf("cluster: the grain's node was lost, %w", ErrUnknown)
	// ErrStopped says that the grain stopped before it could answer, and that the next one knows the request by its name.
	ErrStopped = fmt.Errorf("cluster: the grain stopped before it could answer, %w", ErrUnknown)
	// ErrFailed says that the grain panicked.
	ErrFailed = fmt.Errorf("cluster: the grain failed, %w", ErrUnknown)
)

// ErrOtherStore is returned by Start: the members of the cluster keep their grains' state elsewhere than this node would. It has
// not joined them.
var ErrOtherStore = errors.New("cluster: a member has another store than this node")

// ErrAddress is returned by Start when the node cannot have the address that the others are to reach it at, or has none for them, or
// another member has registered with it. That member stays, and this node has not joined.
var ErrAddress = errors.New("cluster: the address for other nodes")

// What Ready returns.
var (
	// ErrNotMember says that the node is not, or no longer, a member of the cluster: it owns no grain and never will again.
	ErrNotMember = errors.New("cluster: not a member")
	// ErrStatic says that etcd cannot be reached. The node serves on with the last members that it knew.
	ErrStatic = errors.New("cluster: etcd cannot be reached, the view is static")
)
