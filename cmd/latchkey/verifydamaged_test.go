package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/sqlite"
)

// The journal that has failed says so again when it is closed, which is no second thing to be told.
func TestVerifyTellsOfDamageOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "journal.db")
	j, err := sqlite.Open(sqlite.Options{Path: path})
	require.NoError(t, err)
	_, err = journal.Do(t.Context(), j, journal.Append{Stream: "lock/1", ID: "x", Records: []journal.NewRecord{{Type: "A", Data: []byte("{}")}}})
	require.NoError(t, err)
	const page = 4096
	require.NoError(t, j.SaveSnapshot(t.Context(), journal.Snapshot{Stream: "lock/1", Version: 1, Data: bytes.Repeat([]byte("s"), 100*page)}))
	require.NoError(t, j.Close())
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	broken := 0
	for at := 0; at < len(data); at += page { // each page of the snapshot begins with the number of the next one
		if bytes.Equal(data[at+4:at+page], bytes.Repeat([]byte("s"), page-4)) {
			copy(data[at:], "\xff\xff\xff\xff")
			broken++
		}
	}
	require.Positive(t, broken)
	require.NoError(t, os.WriteFile(path, data, 0o600))

	_, err = verified(t, verifyCommand{DataDir: dir})
	require.ErrorIs(t, err, journal.ErrFailed)
	require.Equal(t, 1, strings.Count(err.Error(), journal.ErrFailed.Error()), err.Error())
}
