package cluster

import (
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/latchkey/latchkey/cluster/embedded"
)

const (
	etcdDialTimeout  = 5 * time.Second
	etcdProbeAfter   = 3 * time.Second
	etcdProbeTimeout = 2 * time.Second

	// gRPC would wait for up to two minutes before it connects again, while an etcd that is back gives every lease one TTL.
	etcdMinReconnect = 50 * time.Millisecond
	etcdMaxReconnect = 500 * time.Millisecond
)

// dialEtcd makes the client of an etcd that runs elsewhere. It connects when it is first used.
func dialEtcd(o Options) (*clientv3.Client, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            o.EtcdEndpoints,
		DialTimeout:          etcdDialTimeout,
		DialKeepAliveTime:    etcdProbeAfter,
		DialKeepAliveTimeout: etcdProbeTimeout,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: etcdMinReconnect, Multiplier: 1.6, Jitter: 0.2, MaxDelay: etcdMaxReconnect},
			MinConnectTimeout: etcdDialTimeout,
		})},
		Logger: embedded.ZapLogger(o.Logger, zapcore.ErrorLevel),
	})
	if err != nil {
		return nil, fmt.Errorf("cluster: client of etcd: %w", err)
	}
	return client, nil
}
