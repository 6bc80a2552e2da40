package cluster

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// contacted notes that etcd answered. After a silence longer than a lease, the others had no chance to keep theirs either:
// they get one more TTL before they are taken for gone.
func (m *membership) contacted() {
	now := time.Now()
	if before := m.contact.Swap(now.UnixNano()); before != 0 && now.Sub(time.Unix(0, before)) > m.patience {
		m.grace.Store(now.Add(m.patience).UnixNano())
		m.logger.Info("etcd is back", slog.Duration("silence", now.Sub(time.Unix(0, before))))
	}
}

func (m *membership) lastContact() time.Time { return time.Unix(0, m.contact.Load()) }

// graceUntil is the zero time when there is no grace.
func (m *membership) graceUntil() time.Time {
	if until := time.Unix(0, m.grace.Load()); time.Now().Before(until) {
		return until
	}
	return time.Time{}
}

// isLost is called when etcd, which was reached, does not know this node any more.
func (m *membership) isLost(why string) {
	if m.left.Load() {
		return
	}
	m.lostOnce.Do(func() {
		m.metrics.leaseLost.Inc()
		m.logger.Error("this node is no member of the cluster any more", slog.String("why", why))
		close(m.lost)
	})
}

// keepAlive renews the lease until ctx is done or the lease is gone. The client renews through a stream of its own, which an
// etcd that shuts down still serves to its end, and which stays with a server that does not answer any more. So after a silence
// the lease is renewed without it, by whichever server answers, until one does.
func (m *membership) keepAlive(ctx context.Context) {
	for ctx.Err() == nil {
		m.renew(ctx)
		for patience := m.ttl / 5; ctx.Err() == nil; patience = min(2*patience, etcdTimeout) {
			held, err := m.holdsLease(ctx, min(patience, etcdTimeout))
			if err == nil && held {
				break
			}
			if err == nil {
				m.isLost("its lease is gone")
				return
			}
			if ctx.Err() != nil {
				return
			}
			m.metrics.unreachable.Inc()
			m.logger.Warn("etcd does not answer; this node serves on with the members that it knows", slog.Any("error", err))
			wait(ctx, min(etcdPause, m.ttl/20))
		}
	}
}

// renew returns when it has been silent for half of a TTL, in which there should have been a renewal, or the client has given up.
func (m *membership) renew(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	renewals, err := m.client.KeepAlive(ctx, m.lease)
	if err != nil {
		return
	}
	silence := time.NewTimer(m.ttl / 2)
	defer silence.Stop()
	for {
		select {
		case _, open := <-renewals:
			if !open {
				return
			}
			m.contacted()
			silence.Reset(m.ttl / 2)
		case <-silence.C:
			return
		}
	}
}

// holdsLease renews the lease once. The client takes the servers in turn, so that the next call goes to another one.
func (m *membership) holdsLease(ctx context.Context, timeout time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := m.client.KeepAliveOnce(ctx, m.lease)
	if err == nil || errors.Is(err, rpctypes.ErrLeaseNotFound) {
		m.contacted()
		return err == nil, nil
	}
	return false, err
}
