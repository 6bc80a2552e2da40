package cluster

import (
	"context"
	"log/slog"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// follow keeps the roster up to date and publishes it, until ctx is done. A watch that breaks, or that etcd has compacted
// away, is replaced by a new list and a watch from there.
func (m *membership) follow(ctx context.Context, r *roster) {
	for ctx.Err() == nil {
		m.watch(ctx, r)
		if ctx.Err() != nil {
			return
		}
		m.metrics.watchBroken.Inc()
		for m.fetch(ctx, r) != nil {
			if !m.idle(ctx, r, etcdPause) {
				return
			}
		}
		m.present(r)
	}
}

// watch applies what changes after the roster's revision. It returns when the watch breaks or ctx is done.
func (m *membership) watch(ctx context.Context, r *roster) {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	changes := m.client.Watch(ctx, m.prefix, clientv3.WithPrefix(), clientv3.WithRev(r.revision+1))
	for {
		expiry := time.NewTimer(untilExpiry(r))
		select {
		case <-ctx.Done():
		case dropped := <-m.leave:
			m.dropSelf(r, dropped)
		case <-expiry.C:
			r.expire(time.Now())
			m.present(r)
		case response, open := <-changes:
			if !open || response.Err() != nil {
				expiry.Stop()
				m.logger.Warn("watch of the members broke", slog.Any("error", response.Err()))
				return
			}
			if !m.idle(ctx, r, m.delay) {
				break
			}
			m.contacted()
			m.apply(r, response)
			m.present(r)
		}
		expiry.Stop()
		if ctx.Err() != nil {
			return
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
	r.revision = response.Header.Revision
}

// present publishes the roster. This node itself gets no grace: when etcd does not list it, the others have dropped it.
func (m *membership) present(r *roster) {
	_, suspected := r.suspects[m.self.ID]
	if _, listed := r.members[m.self.ID]; !listed || suspected {
		r.drop(m.self.ID)
		m.isLost("etcd does not list it")
	}
	if m.leaving.Load() {
		r.drop(m.self.ID)
	}
	m.publish(r.list())
}

func (m *membership) dropSelf(r *roster, dropped chan struct{}) {
	m.present(r)
	close(dropped)
}

// idle waits, and still lets this node leave meanwhile. It reports false when ctx is done.
func (m *membership) idle(ctx context.Context, r *roster, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case dropped := <-m.leave:
			m.dropSelf(r, dropped)
		case <-t.C:
			return true
		}
	}
}

// untilExpiry is how long the roster may be left alone.
func untilExpiry(r *roster) time.Duration {
	const long = time.Hour
	next := r.expire(time.Now())
	if next.IsZero() {
		return long
	}
	return time.Until(next)
}
