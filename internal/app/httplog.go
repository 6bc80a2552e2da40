package app

import (
	"bytes"
	"context"
	"log"
	"log/slog"
)

// complaints takes what net/http has to say. Most of it is what clients do wrong, and would fill the log of a server on the
// open internet; the rest is about this server.
type complaints struct{ logger *slog.Logger }

func errorLog(logger *slog.Logger) *log.Logger { return log.New(complaints{logger}, "", 0) }

// Write logs one complaint.
func (c complaints) Write(line []byte) (int, error) {
	level := slog.LevelDebug
	switch {
	case bytes.HasPrefix(line, []byte("http: panic")):
		level = slog.LevelError
	case bytes.HasPrefix(line, []byte("http: Accept error")): // such as too many open files
		level = slog.LevelWarn
	}
	c.logger.Log(context.Background(), level, "the HTTP server complains", "about", string(bytes.TrimSpace(line)))
	return len(line), nil
}
