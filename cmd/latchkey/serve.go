package main

import (
	"context"
	"io"
	"log/slog"
	"os"

	"github.com/latchkey/latchkey/internal/app"
	"github.com/latchkey/latchkey/internal/config"
	"github.com/latchkey/latchkey/internal/slack"
)

type serveCommand struct{ config.Server }

// Run serves until a signal comes.
func (c *serveCommand) Run(ctx context.Context, out terminal) error {
	logger := newLogger(os.Stderr, c.LogLevel, c.LogFormat)
	takeSlack(logger)
	tellStrange(logger, c.Server)
	app.TuneMemory(ctx)
	return app.Run(ctx, app.Options{
		Config: c.Server, SuperKey: os.Getenv(superKeyVariable), EtcdPassword: os.Getenv(etcdPasswordVariable),
		Version: buildVersion(), Logger: logger,
		Started: func(a *app.App) {
			if err := a.TellSuperKey(out); err != nil {
				logger.Error("nobody may know the super key; the next start makes another", "error", err)
			}
		},
	})
}

// tellStrange warns of variables that somebody may take for settings.
func tellStrange(logger *slog.Logger, c config.Server) {
	for _, name := range c.StrangeVariables() {
		logger.Warn("this variable begins like a setting and is none; it sets nothing", "variable", name)
	}
}

// takeSlack makes a commit cheaper, where the kernel lets it.
func takeSlack(logger *slog.Logger) {
	if err := slack.Take(); err != nil {
		logger.Warn("the kernel's timers stay as they are, and each open takes more CPU", "error", err)
	}
}

// newLogger makes the process's logger, which what we did not write ourselves uses too.
func newLogger(w io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // one of the four that the flag allows
	options := &slog.HandlerOptions{Level: l}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if format == "json" {
		handler = slog.NewJSONHandler(w, options)
	}
	logger := slog.New(handler)
	slog.SetDefault(logger)
	return logger
}
