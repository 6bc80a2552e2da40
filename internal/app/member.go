package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/latchkey/latchkey/actors"
	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/internal/keyring"
	"github.com/latchkey/latchkey/internal/ops"
)

// startNode makes this server a member of its cluster, and shows on /readyz that it is one.
func (a *App) startNode(ctx context.Context, locks *actors.Locks) error {
	c := a.options.Config
	password, err := c.EtcdPassword(a.options.EtcdPassword)
	if err != nil {
		return err
	}
	home := "" // a server that is alone has nobody to tell apart
	if len(c.EtcdEndpoints) > 0 {
		if home, err = a.home(); err != nil {
			return err
		}
	}
	if c.OutOfReach() {
		a.logger.Warn("other servers are told an address that only this machine reaches: on other machines they cannot answer for its locks, " +
			"nor this server for theirs; give --cluster-addr or --cluster-advertise-addr")
	}
	a.node, err = cluster.Start(ctx, cluster.Options{
		Addr: c.ClusterAddr, AdvertiseAddr: c.ClusterAdvertiseAddr,
		TLS: keyring.Files{CA: c.ClusterTLSCA, Cert: c.ClusterTLSCert, Key: c.ClusterTLSKey}, NodeName: c.ClusterTLSName,
		EtcdEndpoints: c.EtcdEndpoints, EtcdTLS: keyring.Files{CA: c.EtcdTLSCA, Cert: c.EtcdTLSCert, Key: c.EtcdTLSKey},
		EtcdUser: c.EtcdUser, EtcdPassword: password, EtcdDir: filepath.Join(c.DataDir, etcdFolder),
		StartTimeout: max(c.StartTimeout, 1), // 0 would be its default
		Store:        a.journal.ID(), Home: home,
		Kinds: locks.Kinds(), Owed: locks.Owed, Late: locks.Late, Logger: a.logger, Registerer: a.registry,
	})
	if errors.Is(err, cluster.ErrOtherStore) {
		return fmt.Errorf("--journal-url, --etcd-endpoints: servers that share an etcd share a journal too, in PostgreSQL: %w", err)
	}
	if errors.Is(err, cluster.ErrAddress) {
		return fmt.Errorf("--cluster-addr, --cluster-advertise-addr: %w", err)
	}
	if err != nil {
		return err
	}
	a.onStop(a.node.Drain)
	a.watchMembership()
	return nil
}

// watchMembership shows the node's place in the cluster on /readyz. Without etcd the node serves on: the doors must not wait
// for it, so it is shown, and the node stays ready.
func (a *App) watchMembership() {
	ready := func(static bool) func(context.Context) error {
		return func(context.Context) error {
			if err := a.node.Ready(); errors.Is(err, cluster.ErrStatic) == static {
				return err
			}
			return nil
		}
	}
	a.ops.Watch(ops.Check{Name: "cluster", Probe: ready(false)})
	a.ops.Watch(ops.Check{Name: "etcd", Probe: ready(true), Optional: true})
}
