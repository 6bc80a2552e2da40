package cluster

import (
	"context"
	"log/slog"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/latchkey/latchkey/internal/planted"
)

// follow keeps the roster up to date until ctx is done. A watch that breaks, or whose past etcd has compacted away, is
// replaced by the whole list and a watch from there.
func (m *membership) follow(ctx context.Context, revision int64) {
	for {
		m.watch(ctx, revision)
		if ctx.Err() != nil {
			return
		}
		m.metrics.watchBroken.Inc()
		for {
			var err error
			if revision, err = m.fetch(ctx); err == nil {
				break
			}
			if !wait(ctx, etcdPause) {
				return
			}
		}
	}
}

// watch applies what changes after the revision. It returns when the watch breaks or ctx is done.
func (m *membership) watch(ctx context.Context, revision int64) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	from := revision + 1
	if planted.Has(planted.WatchWithoutRevision) {
		from = 0 // whatever comes from now on
	}
	changes := m.client.Watch(ctx, m.prefix, clientv3.WithPrefix(), clientv3.WithRev(from))
	expiry := time.NewTimer(time.Hour)
	defer expiry.Stop()
	for {
		expiry.Reset(m.untilExpiry())
		select {
		case <-ctx.Done():
			return
		case <-expiry.C:
			m.update(func(r *roster) { r.expire(m.now()) })
		case response, open := <-changes:
			if !open || response.Err() != nil {
				if ctx.Err() == nil {
					m.logger.Warn("watch of the members broke", slog.Any("error", response.Err()))
				}
				return
			}
			m.contacted()
			if !wait(ctx, m.delay) {
				return
			}
			m.update(func(r *roster) { m.apply(r, response) })
		}
	}
}

func (m *membership) apply(r *roster, response clientv3.WatchResponse) {
	for _, event := range response.Events {
		id := strings.TrimPrefix(string(event.Kv.Key), m.prefix)
		if event.Type == clientv3.EventTypeDelete {
			r.remove(id, m.graceUntil())
			continue
		}
		member, err := decodeMember(event.Kv.Value)
		if err != nil {
			m.logger.Warn("member in etcd cannot be read", slog.String("key", id), slog.Any("error", err))
			continue
		}
		r.add(member)
	}
}

// untilExpiry is how long it takes until a member that is absent is dropped.
func (m *membership) untilExpiry() time.Duration {
	const never = time.Hour // and then it is looked at again
	m.mu.Lock()
	defer m.mu.Unlock()
	if next := m.roster.nextExpiry(); next != 0 {
		return next - m.now()
	}
	return never
}

// wait reports false when ctx is done before the time is over.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
