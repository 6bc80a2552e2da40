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
// etcd that shuts down still serves to its end, and closes the channel when it has heard nothing for a TTL or when the lease
// is gone; which of both, etcd is asked until it answers.
func (m *membership) keepAlive(ctx context.Context) {
	for ctx.Err() == nil {
		renewals, err := m.client.KeepAlive(ctx, m.lease)
		if err == nil {
			for range renewals {
				m.contacted()
			}
		}
		for ctx.Err() == nil {
			held, err := m.holdsLease(ctx)
			if err == nil && held {
				break
			}
			if err == nil {
				m.isLost("its lease is gone")
				return
			}
			m.metrics.unreachable.Inc()
			m.logger.Warn("etcd does not answer; this node serves on with the members that it knows", slog.Any("error", err))
			wait(ctx, etcdPause)
		}
	}
}

func (m *membership) holdsLease(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	left, err := m.client.TimeToLive(ctx, m.lease)
	if err != nil {
		return false, err
	}
	m.contacted()
	if left.TTL < 0 { // 0 is less than a second
		return false, nil
	}
	_, err = m.client.KeepAliveOnce(ctx, m.lease) // at once, for the TTL may be about to end
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return false, nil
	}
	return err == nil, err
}
