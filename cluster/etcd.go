package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/cluster/embedded"
	"github.com/latchkey/latchkey/internal/keyring"
)

const (
	etcdDialTimeout  = 5 * time.Second
	etcdProbeAfter   = 3 * time.Second
	etcdProbeTimeout = 2 * time.Second

	// gRPC would wait for up to two minutes before it connects again, while an etcd that is back gives every lease one TTL.
	etcdMinReconnect = 50 * time.Millisecond
	etcdMaxReconnect = 500 * time.Millisecond
)

// openEtcdKeys returns nil when no files are given; an https endpoint is then verified with the CAs of the system.
func openEtcdKeys(o Options) (*keyring.Keyring, error) {
	if !o.EtcdTLS.Given() {
		return nil, nil
	}
	keys, err := keyring.Open(o.EtcdTLS, nil, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("cluster: certificates for etcd: %w", err)
	}
	return keys, nil
}

// dialEtcd makes the client of an etcd that runs elsewhere. It connects when it is first used, which is at once when a user is
// given: the client logs in, and does it again whenever its token has expired.
func dialEtcd(o Options, keys *keyring.Keyring, trouble *etcdTrouble) (*clientv3.Client, error) {
	dial := []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: etcdMinReconnect, Multiplier: 1.6, Jitter: 0.2, MaxDelay: etcdMaxReconnect},
			MinConnectTimeout: etcdDialTimeout,
		}),
		grpc.WithChainUnaryInterceptor(trouble.note),
	}
	if keys != nil {
		dial = append(dial, grpc.WithTransportCredentials(etcdCredentials(keys))) // in place of the client's, which read no file again
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            o.EtcdEndpoints,
		Username:             o.EtcdUser,
		Password:             o.EtcdPassword,
		DialTimeout:          etcdDialTimeout,
		DialKeepAliveTime:    etcdProbeAfter,
		DialKeepAliveTimeout: etcdProbeTimeout,
		DialOptions:          dial,
		Logger:               embedded.ZapLogger(o.Logger, zapcore.ErrorLevel),
	})
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return client, nil
}

// etcdTrouble remembers what was in the way of the last call to etcd, such as a certificate: the client tells of nothing but
// the time that is over.
type etcdTrouble struct{ last atomic.Pointer[string] }

func (e *etcdTrouble) note(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := call(ctx, method, req, reply, cc, opts...)
	if err == nil {
		e.last.Store(nil)
	} else {
		why := status.Convert(err).Message()
		e.last.Store(&why)
	}
	return err
}

// explain adds what is known to an error that says nothing.
func (e *etcdTrouble) explain(err error) error {
	if why := e.last.Load(); why != nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %s", err, *why)
	}
	return err
}

// awaitEtcd does a step of the start that needs etcd. While that cannot be reached it waits and tries again; what etcd has
// refused it would refuse again.
func (n *Node) awaitEtcd(ctx context.Context, step func(context.Context) error) error {
	for begin := time.Now(); ; {
		attempt, end := context.WithTimeout(ctx, etcdTimeout)
		err := n.trouble.explain(step(attempt))
		end()
		if err == nil {
			return nil
		}
		err = fmt.Errorf("cluster: etcd at %s: %w", cmp.Or(strings.Join(n.options.EtcdEndpoints, ", "), n.options.EtcdDir), err)
		if !unreachable(err) || time.Since(begin) >= n.options.StartTimeout {
			return err
		}
		n.logger.Warn("waiting for etcd, which this node needs to start", slog.Any("error", err))
		if !wait(ctx, etcdPause) {
			return err
		}
	}
}

// unreachable tells an etcd that does not answer, or has no leader, from one that refuses.
func unreachable(err error) bool {
	var refusal rpctypes.EtcdError
	if errors.As(err, &refusal) {
		return refusal.Code() == codes.Unavailable
	}
	code := status.Code(err)
	return errors.Is(err, context.DeadlineExceeded) || code == codes.Unavailable || code == codes.DeadlineExceeded
}
