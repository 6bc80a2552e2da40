package cluster

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// calm is for protoactor, which logs as Info what is ordinary here, like a node that leaves, and as Error what it recovers
// from, like a connection that broke: the first are dropped, the second are warnings. It tries again every two seconds to reach a node
// that it does not reach, and has two errors for that each time: these are told at growing intervals.
type calm struct {
	slog.Handler
	trouble *troubles
}

func (h calm) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, slog.LevelWarn)
}

func (h calm) Handle(ctx context.Context, r slog.Record) error {
	if connectionErrors[r.Message] && !h.trouble.tell(addressIn(r), r.Time) {
		return nil
	}
	r.Level = slog.LevelWarn
	return h.Handler.Handle(ctx, r)
}

func (h calm) WithAttrs(attrs []slog.Attr) slog.Handler {
	return calm{h.Handler.WithAttrs(attrs), h.trouble}
}

func (h calm) WithGroup(name string) slog.Handler { return calm{h.Handler.WithGroup(name), h.trouble} }

// connectionErrors is what protoactor says when it does not get through to another node.
var connectionErrors = map[string]bool{
	"EndpointWriter failed to create receive stream":    true,
	"EndpointWriter failed to send connect request":     true,
	"EndpointWriter failed to receive connect response": true,
	"EndpointWriter failed to connect":                  true,
	"EndpointWriter lost connection":                    true,
}

func addressIn(r slog.Record) (addr string) {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "address" {
			addr = a.Value.String()
		}
		return addr == ""
	})
	return addr
}

// A trouble is told at once, then after the first pause, and each pause is twice the one before.
const (
	firstPause = 5 * time.Second
	lastPause  = 10 * time.Minute
)

// troubles are the nodes that cannot be reached.
type troubles struct {
	mu  sync.Mutex
	all map[string]*trouble // by address; an entry for every node that has been in trouble and did not come back
}

type trouble struct {
	since time.Time
	next  time.Time // when it is told again
	pause time.Duration
}

// tell reports whether an error with a node is to be told.
func (t *troubles) tell(addr string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := t.all[addr]
	if known == nil {
		known = &trouble{since: now, pause: firstPause}
		t.all[addr] = known
	} else if now.Before(known.next) {
		return false
	} else {
		known.pause = min(2*known.pause, lastPause)
	}
	known.next = now.Add(known.pause)
	return true
}

// over forgets a node's trouble, and returns since when there was one.
func (t *troubles) over(addr string) (since time.Time, was bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, was := t.all[addr]
	if !was {
		return time.Time{}, false
	}
	delete(t.all, addr)
	return known.since, true
}
