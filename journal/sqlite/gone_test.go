package sqlite_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/sqlite"
)

// SQLite writes on into files that are in no folder any more. What is acknowledged then is gone with the process.
func TestFilesThatAreTakenAwayFailTheJournal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		takeAway func(path string) error
		says     string
	}{
		"removed": {os.Remove, "journal.db was removed"},
		"moved":   {func(path string) error { return os.Rename(path, path+".old") }, "journal.db was removed"},
		"replaced": {func(path string) error {
			data, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path+".new", data, 0o600)
			}
			if err == nil {
				err = os.Rename(path+".new", path)
			}
			return err
		}, "journal.db was replaced"},
		"without its WAL": {func(path string) error { return os.Remove(path + "-wal") }, "journal.db-wal was removed"},
		"the folder":      {func(path string) error { return os.RemoveAll(filepath.Dir(path)) }, "was removed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "data", "journal.db")
			require.NoError(t, os.Mkdir(filepath.Dir(path), 0o700))
			var log bytes.Buffer
			failed := make(chan error, 1)
			j, err := sqlite.Open(sqlite.Options{
				Path: path, Logger: slog.New(slog.NewTextHandler(&log, nil)), OnFailure: func(err error) { failed <- err },
			})
			require.NoError(t, err)
			require.NoError(t, j.Healthy(t.Context()))
			require.NoError(t, c.takeAway(path))
			select {
			case err := <-failed: // nobody has to ask, nor to append
				require.ErrorIs(t, err, journal.ErrFailed)
				require.ErrorContains(t, err, c.says)
			case <-time.After(30 * time.Second):
				t.Fatal("nobody has noticed")
			}
			require.ErrorContains(t, j.Healthy(t.Context()), c.says)
			_, err = journal.Do(t.Context(), j, journal.Append{Stream: "a", ID: "x", Records: []journal.NewRecord{{Type: "A"}}})
			require.ErrorIs(t, err, journal.ErrFailed)
			require.ErrorIs(t, j.Close(), journal.ErrFailed)
			require.Contains(t, log.String(), c.says)
		})
	}
}

// A probe finds out at once, and what else happens in the folder is no matter.
func TestProbesLookAfterTheFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	require.NoError(t, os.WriteFile(path+".copy", nil, 0o600))
	require.NoError(t, os.Chmod(path, 0o640))
	require.NoError(t, j.Healthy(t.Context()))
	require.NoError(t, os.Rename(path+".copy", path))
	require.ErrorIs(t, j.Healthy(t.Context()), journal.ErrFailed)
	require.ErrorIs(t, j.Close(), journal.ErrFailed)
}

// SQLite follows a link to the file, and its WAL is there.
func TestAFileBehindALink(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "journal.db")
	require.NoError(t, open(t, file).Close())
	link := filepath.Join(t.TempDir(), "journal.db")
	require.NoError(t, os.Symlink(file, link))
	j := open(t, link)
	require.NoError(t, j.Healthy(t.Context()))
	require.NoError(t, j.Close())
}

// A journal that is closed takes its WAL away, and whoever asks in that moment does not take it for failed.
func TestWhoAsksForTheHealthOfAJournalThatCloses(t *testing.T) {
	t.Parallel()
	for range 20 {
		failed := make(chan error, 1)
		j, err := sqlite.Open(sqlite.Options{Path: filepath.Join(t.TempDir(), "journal.db"), OnFailure: func(err error) { failed <- err }})
		require.NoError(t, err)
		var asking sync.WaitGroup
		for range 16 {
			asking.Go(func() {
				for {
					if err := j.Healthy(t.Context()); err != nil {
						assert.ErrorIs(t, err, journal.ErrClosed)
						return
					}
				}
			})
		}
		require.NoError(t, j.Close())
		asking.Wait()
		require.Empty(t, failed)
	}
}
