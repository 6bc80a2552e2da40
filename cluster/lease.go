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
	now := m.now()
	if before := m.contact.Swap(int64(now)); before != 0 && now-time.Duration(before) > m.patience {
		m.grace.Store(int64(now + m.patience))
		m.logger.Info("etcd is back", slog.Duration("silence", now-time.Duration(before)))
	}
}

// now is the time since the start: a wall clock that is set would make a silence of etcd that there was not, and a grace that does
// not end.
func (m *membership) now() time.Duration { return time.Since(m.started) }

func (m *membership) lastContact() time.Duration { return time.Duration(m.contact.Load()) }

// silence is how long ago etcd answered.
func (m *membership) silence() time.Duration {
	last := m.lastContact() // first, or it could be later than now
	return m.now() - last
}

// graceUntil is zero when there is no grace.
func (m *membership) graceUntil() time.Duration {
	if until := time.Duration(m.grace.Load()); m.now() < until {
		return until
	}
	return 0
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
