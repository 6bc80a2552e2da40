package app

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/actors"
	"github.com/latchkey/latchkey/collective"
	"github.com/latchkey/latchkey/internal/config"
	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/memory"
)

// hung is a journal whose disk hangs: a read that has begun does not end with its context, as SQLite's, and neither does a close.
type hung struct {
	journal.Journal
	until chan struct{}
}

func (h hung) Entries(context.Context, string, string, string, int) ([]journal.Entry, error) {
	<-h.until
	return nil, errors.New("the disk is back")
}

func (h hung) Close() error {
	<-h.until
	return h.Journal.Close()
}

// A stop is not longer than --drain-timeout, also when a step of it waits for a disk that hangs.
func TestStopWhileTheDiskHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hung{memory.New(), make(chan struct{})}
		locks, err := actors.New(actors.Options{Journal: h})
		require.NoError(t, err)
		keys, err := collective.New(collective.Options{Journal: h, Locks: locks})
		require.NoError(t, err)
		const timeout = 4 * time.Second
		a := &App{logger: slog.New(slog.DiscardHandler), options: Options{Config: config.Server{DrainTimeout: timeout}}}
		a.onStop(func(ctx context.Context) error { return a.closeJournal(ctx, h) })
		a.sweep(keys)
		synctest.Wait()

		begin := time.Now()
		require.NoError(t, a.Stop())
		require.Less(t, time.Since(begin), timeout)
		close(h.until)
		locks.Close()
	})
}
