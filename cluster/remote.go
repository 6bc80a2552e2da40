package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/internal/keyring"
)

const (
	maxBatch        = 128           // messages that travel together
	maxBatchBytes   = math.MaxInt32 // messages are bounded where they are made: a batch that is refused here ends the connection for all
	writerQueue     = 1024          // where the queue to a node begins; it grows
	connectTries    = 1             // before the requests to a node are given up; each is followed by a pause of 2 s
	connectTimeout  = 3 * time.Second
	probeAfter      = 10 * time.Second // gRPC lets clients probe no more often
	probeTimeout    = 3 * time.Second
	minProbeAllowed = 2 * time.Second
	maxStreams      = 8 // on one connection; a node needs one
)

// remoteConfig sets the limits of the connections between nodes. A message that protoactor cannot handle (an unknown type,
// a call that it declares and does not serve) panics in its reader: the interceptors turn that into the end of one connection.
func remoteConfig(o Options, keys *keyring.Keyring) (*remote.Config, error) {
	host, digits, err := net.SplitHostPort(o.Addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(digits)
	if err != nil {
		return nil, fmt.Errorf("port of %q: %w", o.Addr, err)
	}
	serverSecurity, clientSecurity := nodeSecurity(keys, o.NodeName)
	guard := guard{o.Logger}
	return remote.Configure(host, port,
		remote.WithAdvertisedHost(o.AdvertiseAddr),
		remote.WithEndpointWriterBatchSize(maxBatch),
		remote.WithEndpointWriterQueueSize(writerQueue),
		remote.WithServerOptions(append(serverSecurity,
			grpc.ConnectionTimeout(strangerTimeout),
			grpc.MaxConcurrentStreams(maxStreams),
			grpc.MaxRecvMsgSize(maxBatchBytes),
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: probeAfter, Timeout: probeTimeout}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minProbeAllowed, PermitWithoutStream: true}),
			grpc.UnaryInterceptor(guard.unary),
			grpc.StreamInterceptor(guard.stream),
		)...),
		remote.WithDialOptions(append(clientSecurity,
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxBatchBytes), grpc.MaxCallSendMsgSize(maxBatchBytes)),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: probeAfter, Timeout: probeTimeout, PermitWithoutStream: true}),
		)...),
		func(c *remote.Config) { c.MaxRetryCount = connectTries },
	), nil
}

// guard keeps a panic in a handler from ending the process.
type guard struct{ logger *slog.Logger }

func (g guard) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (answer any, err error) {
	defer g.recover(&err)
	return next(ctx, req)
}

func (g guard) stream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer g.recover(&err)
	return next(srv, stream)
}

func (g guard) recover(err *error) {
	if reason := recover(); reason != nil {
		g.logger.Error("message from another node panicked", slog.Any("reason", reason), slog.String("stack", string(debug.Stack())))
		*err = status.Error(codes.Internal, "the message could not be handled")
	}
}
