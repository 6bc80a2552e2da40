package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

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
	// Existing opens what is there, and makes no journal.
	Existing bool
	// OnFailure is called when the journal cannot be used any more, and must be opened by another process. May be nil.
	OnFailure func(error)
}

// startPause is between two attempts to reach a PostgreSQL that a start waits for.
const startPause = 500 * time.Millisecond

// awaitJournal opens the journal, and waits for a PostgreSQL that does not answer yet, as the cluster does for its etcd: when
// machines come back, all of them do at once. An attempt that has begun is not cut short, for it may be changing tables.
func (a *App) awaitJournal(ctx context.Context) (journal.Journal, error) {
	c := a.options.Config
	if err := journalIsThere(c.JournalURL, c.DataDir); err != nil {
		return nil, err
	}
	for begin := time.Now(); ; {
		store, err := OpenJournal(ctx, JournalOptions{
			URL: c.JournalURL, DataDir: c.DataDir, Logger: a.logger, Registerer: a.registry, OnFailure: a.fail,
		})
		if err == nil || !postgres.Unreachable(err) || time.Since(begin) >= c.StartTimeout {
			return store, err
		}
		a.logger.Warn("waiting for PostgreSQL, which this server needs to start", "error", err)
		pause := time.NewTimer(startPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, err
		}
	}
}

// closeJournal closes the journal.
func (a *App) closeJournal(ctx context.Context, store journal.Journal) error {
	err := a.endsIn(ctx, "journal", store.Close)
	if err != nil && errors.Is(a.cause, err) {
		return nil // a journal that has failed says so again
	}
	return err
}

// OpenJournal opens the journal with the engine that its URL asks for. ctx bounds the opening alone.
func OpenJournal(ctx context.Context, o JournalOptions) (journal.Journal, error) {
	url, path, err := config.JournalAt(o.URL, o.DataDir)
	if err != nil {
		return nil, err
	}
	if url == "" {
		if o.Existing {
			if _, err := os.Stat(path); err != nil {
				return nil, fmt.Errorf("there is no journal: %w; --data-dir or --journal-url says where it is", err)
			}
		}
		return opened(sqlite.Open(sqlite.Options{Path: path, Logger: o.Logger, Registerer: o.Registerer, OnFailure: o.OnFailure}))
	}
	return opened(postgres.Open(ctx, postgres.Options{URL: url, Existing: o.Existing, Logger: o.Logger, Registerer: o.Registerer}))
}

// opened keeps a failed open from becoming a journal that is not nil.
func opened[J journal.Journal](j J, err error) (journal.Journal, error) {
	if err != nil {
		return nil, err
	}
	return j, nil
}

// journalIsThere refuses to make a new journal where a server has run before: without its journal it knows no lock, no key
// and no use, and should not look as if that were so.
func journalIsThere(journalURL, dataDir string) error {
	_, path, err := config.JournalAt(journalURL, dataDir)
	if err != nil || path == "" {
		return err
	}
	if file, err := os.Stat(path); err == nil && file.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil // whatever is wrong with it, opening it will tell
	}
	return errIfRanBefore(path, dataDir)
}

// recordsAreThere looks twice at a journal without records where a server has run before. As a file that is what is left of one
// that was copied without its -wal: a server that has its journal to itself stores the first record, which key guards the PINs,
// before it leaves the traces that are looked for. In PostgreSQL it may be meant, or be taken for a move of the file.
func (a *App) recordsAreThere(ctx context.Context) error {
	if some, err := a.journal.ReadAll(ctx, 0, 1); err != nil || len(some) > 0 {
		return err
	}
	c := a.options.Config
	_, path, err := config.JournalAt(c.JournalURL, c.DataDir)
	if err != nil {
		return err
	}
	if path != "" {
		return errIfRanBefore(path, c.DataDir)
	}
	if _, path, err = config.JournalAt("", c.DataDir); err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		a.logger.Warn("this journal is empty, and the server begins without any lock or key: what it had in its file is not moved here", "file", path)
	}
	return nil
}

func errIfRanBefore(path, dataDir string) error {
	for _, trace := range []string{superKeyHashFile, etcdFolder} {
		if _, err := os.Stat(filepath.Join(dataDir, trace)); err == nil {
			return fmt.Errorf("the journal %s is missing or empty, but %s says that a server has run here: bring the journal back, with "+
				"its -wal if there is one, or from a backup; or, to start anew without any lock or key, name another --data-dir, or remove everything in this one",
				path, filepath.Join(dataDir, trace))
		}
	}
	return nil
}
