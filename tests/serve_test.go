package tests

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

var superKeyPattern = regexp.MustCompile(`(?m)^  (\S{32,})$`)

func startServer(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := launch(t, append([]string{"serve", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"}, args...)...)
	p.waitFor(t, "the server serves", func(_, stderr string) bool { return strings.Contains(stderr, "msg=serving ") })
	return p
}

// The first start prints a super key that works, and no later start does.
func TestSuperKeyIsPrintedOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := startServer(t, dir)
	first.waitFor(t, "the key is printed", func(stdout, _ string) bool { return superKeyPattern.MatchString(stdout) })
	key := match(t, superKeyPattern, first.stdout())
	require.NotContains(t, first.stderr(), key, "a log is no place for a key")
	first.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, first.exit(t))

	second := startServer(t, dir)
	require.False(t, superKeyPattern.MatchString(second.stdout()))
	url := match(t, regexp.MustCompile(`msg=serving .*http=(http\S+)`), second.stderr())
	response, body := fetch(t, http.MethodGet, url+"/locks/1/temp-keys", http.Header{"X-Api-Key": {key}})
	require.Equal(t, http.StatusNotFound, response.StatusCode, body)
	response, _ = fetch(t, http.MethodGet, url+"/locks/1/temp-keys", http.Header{"X-Api-Key": {key + "x"}})
	require.Equal(t, http.StatusUnauthorized, response.StatusCode)
	second.signal(t, syscall.SIGINT)
	require.Equal(t, 0, second.exit(t))
}

// A start that cannot be right ends with a message that says what to do, and changes nothing.
func TestStartIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--http-addr", "0.0.0.0:0"}, "--insecure"},
		{[]string{"--super-key-file", "/dev/null"}, "needs at least 32"},
		{[]string{"--journal-url", "mysql://somewhere/x"}, "sqlite:"},
		{[]string{"--tls-cert", "none.pem", "--tls-key", "none.pem"}, "none.pem"},
		{[]string{"--colour", "red"}, "unknown flag --colour"},
	} {
		p := launch(t, append([]string{"serve", "--data-dir", dir, "--ops-addr", "127.0.0.1:0"}, c.args...)...)
		require.Equal(t, 1, min(p.exit(t), 1), c.args)
		require.Contains(t, p.stderr(), c.says)
	}
}

// Two servers never share a folder.
func TestDataFolderIsTaken(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	first := startServer(t, dir)
	second := launch(t, "serve", "--data-dir", dir, "--http-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0")
	require.Equal(t, 1, second.exit(t))
	require.Contains(t, second.stderr(), "is in use by process "+strconv.Itoa(first.cmd.Process.Pid))
	first.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, first.exit(t))
}

func TestVersion(t *testing.T) {
	t.Parallel()
	p := launch(t, "version")
	require.Equal(t, 0, p.exit(t))
	require.Regexp(t, `^latchkey \S+ \(go\S+, \w+/\w+\)\n$`, p.stdout())
}
