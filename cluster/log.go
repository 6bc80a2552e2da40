package cluster

import (
	"context"
	"log/slog"
)

// calm is for protoactor, which logs as Info what is ordinary here, like a node that leaves, and as Error what it recovers
// from, like a connection that broke: the first are dropped, the second are warnings.
type calm struct{ slog.Handler }

func (h calm) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, slog.LevelWarn)
}

func (h calm) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelWarn
	return h.Handler.Handle(ctx, r)
}

func (h calm) WithAttrs(attrs []slog.Attr) slog.Handler { return calm{h.Handler.WithAttrs(attrs)} }

func (h calm) WithGroup(name string) slog.Handler { return calm{h.Handler.WithGroup(name)} }
