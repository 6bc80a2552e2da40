package app

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/config"
	"github.com/latchkey/latchkey/journal"
)

// The journal says by OnFailure that it has failed; that ends the run with its error, after a drain.
func TestFailedPartEndsTheRun(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	err := Run(t.Context(), Options{
		Config: config.Server{
			HTTPAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", ClusterAddr: "127.0.0.1:0",
			DataDir: filepath.Join(t.TempDir(), "data"), DrainTimeout: 15 * time.Second,
		},
		Version: "test", Logger: slog.New(slog.DiscardHandler),
		Started: func(a *App) {
			a.fail(broken)
			a.fail(errors.New("and another thing")) // only the first reason counts
		},
	})
	require.ErrorIs(t, err, broken)
	require.NotContains(t, err.Error(), "another thing")
}

// What a journal that has failed says is said once, although it is also what closing it says.
func TestFailedJournalIsToldOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	err := Run(t.Context(), Options{
		Config: config.Server{
			HTTPAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", ClusterAddr: "127.0.0.1:0", DataDir: dir, DrainTimeout: 15 * time.Second,
		},
		Version: "test", Logger: slog.New(slog.DiscardHandler),
		Started: func(a *App) {
			require.NoError(t, os.Truncate(filepath.Join(dir, "journal.db"), 0))
			_, _, err := a.journal.Head(t.Context(), "lock/1")
			require.ErrorIs(t, err, journal.ErrFailed)
		},
	})
	require.ErrorIs(t, err, journal.ErrFailed)
	require.Equal(t, 1, strings.Count(err.Error(), journal.ErrFailed.Error()), err.Error())
}
