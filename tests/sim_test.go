package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// `latchkey sim` makes locks at a server, connects them, and shows what they did; their credentials can be used again.
func TestSimulatedLocks(t *testing.T) {
	t.Parallel()
	const key = "a-super-key-that-only-this-test-knows-0123456789"
	keyFile := filepath.Join(t.TempDir(), "super-key")
	require.NoError(t, os.WriteFile(keyFile, []byte(key), 0o600))
	server := startServer(t, filepath.Join(t.TempDir(), "data"), "--super-key-file", keyFile)
	url := match(t, regexp.MustCompile(`msg=serving http=(http\S+)`), server.stderr())

	credentials := filepath.Join(t.TempDir(), "credentials")
	locks := launch(t, "sim", "--server", url, "--super-key-file", keyFile, "--locks", "3", "--temp-keys", "--progress", "100ms",
		"--write-credentials", credentials)
	connected := func(stdout, _ string) bool { return strings.Contains(stdout, "connected 3") }
	locks.waitFor(t, "the locks are connected", connected)
	openByLink(t, match(t, regexp.MustCompile(`(?m)^lock 2: (http\S+)$`), locks.stdout()))
	locks.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, locks.exit(t))
	require.Regexp(t, `summary: 3 locks, .*opens 1,`, locks.stdout())

	again := launch(t, "sim", "--server", url, "--credentials", credentials, "--progress", "100ms")
	again.waitFor(t, "the locks are connected again", connected)
	again.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, again.exit(t))
	server.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, server.exit(t))
}
