package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestThePINKeyIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, err := pinKey(dir, "", false)
	require.NoError(t, err)
	require.Len(t, made, 32)
	again, err := pinKey(dir, "", false)
	require.NoError(t, err)
	require.Equal(t, made, again)
	info, err := os.Stat(filepath.Join(dir, pinKeyFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	given, err := pinKey(t.TempDir(), filepath.Join(dir, pinKeyFile), true)
	require.NoError(t, err)
	require.Equal(t, made, given)
}

func TestServersThatShareAJournalMakeNoPINKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, err := pinKey(dir, "", true)
	require.NoError(t, err)
	require.Nil(t, key)
	require.NoFileExists(t, filepath.Join(dir, pinKeyFile))
}

func TestABadPINKeyIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	for _, content := range []string{"", "abc", strings.Repeat("0", 63), strings.Repeat("z", 64), strings.Repeat("0", 66)} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := pinKey(t.TempDir(), path, false)
		require.ErrorContains(t, err, "openssl rand -hex 32")
	}
	_, err := pinKey(t.TempDir(), filepath.Join(t.TempDir(), "missing"), false)
	require.ErrorContains(t, err, "--pin-key-file")
}
