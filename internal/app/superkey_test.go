package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/config"
)

const goodKey = "0123456789abcdef0123456789abcdef"

func TestFirstStartMakesASuperKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hash, made, err := superKey(dir, "", "")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(made), superKeyMinLength)
	sum := sha256.Sum256([]byte(made))
	require.Equal(t, sum[:], hash)
	require.Empty(t, entries(t, dir), "what nobody has seen is not stored: this start may still fail")

	a := &App{options: Options{Config: config.Server{DataDir: dir}}, madeKey: made}
	require.ErrorContains(t, a.TellSuperKey(closedPipe(t)), "show the super key")
	require.Empty(t, entries(t, dir))

	var shown strings.Builder
	require.NoError(t, a.TellSuperKey(&shown))
	require.Contains(t, shown.String(), made)
	path := filepath.Join(dir, superKeyHashFile)
	stored, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(hash)+"\n", string(stored), "the hash is stored, never the key")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(privateFile), info.Mode())
	require.Len(t, entries(t, dir), 1, "no temporary file is left")

	shown.Reset()
	require.NoError(t, a.TellSuperKey(&shown))
	require.Empty(t, shown.String(), "it is shown once")
	again, madeAgain, err := superKey(dir, "", "")
	require.NoError(t, err)
	require.Equal(t, hash, again)
	require.Empty(t, madeAgain)
}

// closedPipe is a terminal that went away.
func closedPipe(t *testing.T) io.Writer {
	t.Helper()
	r, w := io.Pipe()
	require.NoError(t, r.Close())
	return w
}

func TestGivenSuperKeyWins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, made, err := superKey(dir, "", "")
	require.NoError(t, err)
	a := &App{options: Options{Config: config.Server{DataDir: dir}}, madeKey: made}
	require.NoError(t, a.TellSuperKey(io.Discard)) // one is there already
	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(goodKey+"\n"), privateFile))
	want := sha256.Sum256([]byte(goodKey))

	hash, made, err := superKey(dir, "", goodKey)
	require.NoError(t, err)
	require.Empty(t, made)
	require.Equal(t, want[:], hash)

	hash, _, err = superKey(dir, file, "the value of the environment, which a file wins over")
	require.NoError(t, err)
	require.Equal(t, want[:], hash)
	require.Len(t, entries(t, dir), 1, "a given key is not stored")
}

func TestSuperKeyErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	require.NoError(t, os.WriteFile(short, []byte("short\n"+strings.Repeat(" ", 40)), privateFile))

	_, _, err := superKey(dir, short, "")
	require.ErrorContains(t, err, "has 5 characters and needs at least 32")
	require.NotContains(t, err.Error(), "short\n")
	_, _, err = superKey(dir, "", "short")
	require.ErrorContains(t, err, "LATCHKEY_SUPER_KEY")
	_, _, err = superKey(dir, filepath.Join(dir, "none"), "")
	require.ErrorContains(t, err, "--super-key-file")

	require.NoError(t, os.WriteFile(filepath.Join(dir, superKeyHashFile), []byte("damaged"), privateFile))
	_, _, err = superKey(dir, "", "")
	require.ErrorContains(t, err, "is damaged", "a damaged hash must not lead to a new key in silence")
}

// A cluster whose servers each take another super key looks as if keys stopped working at random.
func TestSuperKeyOfOneMember(t *testing.T) {
	t.Parallel()
	for given, warns := range map[string]bool{"": true, goodKey: false} {
		var log bytes.Buffer
		_, err := Start(t.Context(), Options{
			Config: config.Server{
				HTTPAddr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", ClusterAddr: "127.0.0.1:0", DataDir: filepath.Join(t.TempDir(), "data"),
				EtcdEndpoints: []string{"http://127.0.0.1:1"}, DrainTimeout: 15 * time.Second,
				PINKeyFile: "none", // so that it ends before it looks for an etcd that is not there
			},
			SuperKey: given, Version: "test", Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
		require.ErrorContains(t, err, "--pin-key-file")
		require.Equal(t, warns, strings.Contains(log.String(), "--super-key-file"), log.String())
	}
}

func entries(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	return list
}
