package app

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey/latchkey/internal/config"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/postgres"
	"github.com/latchkey/latchkey/journal/sqlite"
)

// JournalOptions say where a journal is, and who hears of it.
type JournalOptions struct {
	URL        string // postgres://... or sqlite:PATH; empty: the file in the data folder
	DataDir    string
	Logger     *slog.Logger
	Registerer prometheus.Registerer // may be nil
	// OnFailure is called when the journal cannot be used any more, and must be opened by another process. May be nil.
	OnFailure func(error)
}

// OpenJournal opens the journal with the engine that its URL asks for. ctx bounds the opening alone.
func OpenJournal(ctx context.Context, o JournalOptions) (journal.Journal, error) {
	url, path, err := config.JournalAt(o.URL, o.DataDir)
	if err != nil {
		return nil, err
	}
	if url == "" {
		return opened(sqlite.Open(sqlite.Options{Path: path, Logger: o.Logger, Registerer: o.Registerer, OnFailure: o.OnFailure}))
	}
	return opened(postgres.Open(ctx, postgres.Options{URL: url, Logger: o.Logger, Registerer: o.Registerer}))
}

// opened keeps a failed open from becoming a journal that is not nil.
func opened[J journal.Journal](j J, err error) (journal.Journal, error) {
	if err != nil {
		return nil, err
	}
	return j, nil
}
