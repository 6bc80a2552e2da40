package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/journal"
	"github.com/latchkey/latchkey/journal/sqlite"
	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/tenant"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := func() (string, error) {
		var out bytes.Buffer
		c := verifyCommand{DataDir: dir, Limit: 1, LogLevel: "warn", LogFormat: "text"}
		err := c.Run(t.Context(), terminal{&out})
		return out.String(), err
	}
	_, err := run()
	require.ErrorContains(t, err, "there is no journal")
	require.NoFileExists(t, filepath.Join(dir, "journal.db"))

	j, err := sqlite.Open(sqlite.Options{Path: filepath.Join(dir, "journal.db")})
	require.NoError(t, err)
	keys, err := tenant.New(tenant.Options{Journal: j})
	require.NoError(t, err)
	_, _, err = keys.Create(t.Context(), lock.Caller{Super: true}, "acme", tenant.NewKey{})
	require.NoError(t, err)
	_, err = run()
	require.ErrorContains(t, err, "is in use")
	require.NoError(t, j.Close())

	said, err := run()
	require.NoError(t, err)
	require.Equal(t, "All is well: 1 records of 1 streams, 1 index rows, 0 snapshots.\n", said)

	j, err = sqlite.Open(sqlite.Options{Path: filepath.Join(dir, "journal.db")})
	require.NoError(t, err)
	for _, stream := range []string{"lock/1", "lock/2"} {
		_, err = journal.Do(t.Context(), j, journal.Append{
			Stream: stream, ID: "1", Records: []journal.NewRecord{{Type: "LockMelted", Data: []byte("{}")}},
		})
		require.NoError(t, err)
	}
	require.NoError(t, j.Close())
	said, err = run()
	require.EqualError(t, err, "2 things are wrong in 3 records of 3 streams, 1 index rows, 0 snapshots")
	require.Contains(t, said, "lock/1: version 1 cannot be read")
	require.Contains(t, said, "... and 1 more")
}
