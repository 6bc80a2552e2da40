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

// openEtcdKeys returns nil when no files are given; an https endpoint is then verified with the CAs of the system.
func openEtcdKeys(o Options) (*keyring, error) {
	if !o.EtcdTLS.given() {
		return nil, nil
	}
	keys, err := openKeyring(o.EtcdTLS, nil, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("cluster: certificates for etcd: %w", err)
	}
	return keys, nil
}

// dialEtcd makes the client of an etcd that runs elsewhere. It connects when it is first used, which is at once when a user is
// given: the client logs in, and does it again whenever its token has expired.
func dialEtcd(o Options, keys *keyring) (*clientv3.Client, error) {
	dial := []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: etcdMinReconnect, Multiplier: 1.6, Jitter: 0.2, MaxDelay: etcdMaxReconnect},
		MinConnectTimeout: etcdDialTimeout,
	})}
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
		return nil, fmt.Errorf("cluster: client of etcd: %w", err)
	}
	return client, nil
}
