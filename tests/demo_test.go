package tests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// demo is a running `latchkey demo` with what it printed.
type demo struct {
	*process
	dir      string
	links    []string
	curlLine string
	ops      string
}

var (
	linkPattern = regexp.MustCompile(`(?m)^  \S+ +(http\S+/temp-keys/\S+)$`)
	curlPattern = regexp.MustCompile(`(?m)^  (curl .*)$`)
	opsPattern  = regexp.MustCompile(`(?m)^  operations +(http\S+)/metrics`)
)

func startDemo(t *testing.T, dir, httpAddr string, args ...string) *demo {
	t.Helper()
	args = append([]string{"demo", "--data-dir", dir, "--http-addr", httpAddr, "--ops-addr", "127.0.0.1:0"}, args...)
	d := &demo{dir: dir, process: launch(t, args...)}
	d.waitFor(t, "the demo told what to do", func(stdout, _ string) bool { return strings.Contains(stdout, "Ctrl-C stops") })
	for _, m := range linkPattern.FindAllStringSubmatch(d.stdout(), -1) {
		d.links = append(d.links, m[1])
	}
	require.Len(t, d.links, 3)
	d.curlLine = match(t, curlPattern, d.stdout())
	d.ops = match(t, opsPattern, d.stdout())
	return d
}

func match(t *testing.T, pattern *regexp.Regexp, in string) string {
	t.Helper()
	found := pattern.FindStringSubmatch(in)
	require.NotNil(t, found, "%s is not in:\n%s", pattern, in)
	return found[1]
}

// addr is the host and port of the demo's API.
func (d *demo) addr() string {
	host, _, _ := strings.Cut(strings.TrimPrefix(d.links[0], "http://"), "/")
	return host
}

// opened counts how often the demo told that the door opened.
func opened(stdout, door string) int { return strings.Count(stdout, "  the "+door+" opened\n") }

// browser is a client that does not follow redirects, so that a test sees them.
var browser = &http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func fetch(t *testing.T, method, url string, header http.Header) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	if header != nil {
		request.Header = header
	}
	response, err := browser.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(body)
}

// openByLink presses the button of a guest's page and returns what the confirmation page says.
func openByLink(t *testing.T, link string) string {
	t.Helper()
	html := http.Header{"Accept": {"text/html"}}
	response, page := fetch(t, http.MethodGet, link, html)
	require.Equal(t, http.StatusOK, response.StatusCode, page)
	response, body := fetch(t, http.MethodPost, link+"/open", html)
	require.Equal(t, http.StatusSeeOther, response.StatusCode, body)
	confirmation, err := response.Location()
	require.NoError(t, err)
	response, page = fetch(t, http.MethodGet, confirmation.String(), html)
	require.Equal(t, http.StatusOK, response.StatusCode, page)
	return page
}

// usedCount asks the API how often the first door's key was used, and which keys there are.
func usedCount(t *testing.T, d *demo) (count int, keys []string) {
	t.Helper()
	superKey, err := os.ReadFile(filepath.Join(d.dir, "demo", "super-key"))
	require.NoError(t, err)
	response, body := fetch(t, http.MethodGet, "http://"+d.addr()+"/locks/101/temp-keys", http.Header{"X-Api-Key": {strings.TrimSpace(string(superKey))}})
	require.Equal(t, http.StatusOK, response.StatusCode, body)
	var answer struct {
		TempKeys []struct {
			UUID      string
			UsedCount int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	for _, k := range answer.TempKeys {
		keys = append(keys, k.UUID)
		count += k.UsedCount
	}
	return count, keys
}

// A person types one command, opens a link, and a lock opens; after kill -9 and another start all is as it was.
func TestDemoOpensDoorsAndSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	d := startDemo(t, dir, "127.0.0.1:0")

	response, ready := fetch(t, http.MethodGet, d.ops+"/readyz", nil)
	require.Equal(t, http.StatusOK, response.StatusCode, ready)

	openByLink(t, d.links[0])
	d.waitFor(t, "the door opened", func(stdout, _ string) bool { return opened(stdout, "Front-door") == 1 })
	count, keys := usedCount(t, d)
	require.Equal(t, 1, count)
	require.Len(t, keys, 1)

	addr := d.addr()
	d.kill()
	again := startDemo(t, dir, addr)
	require.Equal(t, d.links, again.links)
	require.Equal(t, d.curlLine, again.curlLine)
	count, sameKeys := usedCount(t, again)
	require.Equal(t, 1, count)
	require.Equal(t, keys, sameKeys)
	openByLink(t, again.links[0])
	again.waitFor(t, "the door opened again", func(stdout, _ string) bool { return opened(stdout, "Front-door") == 1 })
	count, _ = usedCount(t, again)
	require.Equal(t, 2, count)

	again.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, again.exit(t), again.stderr())
}

// The curl line does what it says, without a shell: it is one request that we can make ourselves.
func TestDemoCurlLine(t *testing.T) {
	t.Parallel()
	d := startDemo(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0")
	parts := regexp.MustCompile(`^curl -X POST -H '([^:]+): ([^']+)' (http\S+)$`).FindStringSubmatch(d.curlLine)
	require.NotNil(t, parts, d.curlLine)
	header := http.Header{}
	header.Set(parts[1], parts[2])
	response, body := fetch(t, http.MethodPost, parts[3], header)
	require.Equal(t, http.StatusOK, response.StatusCode, body)
	require.Contains(t, body, `"outcome":"opened"`)
	d.waitFor(t, "the door opened", func(stdout, _ string) bool { return opened(stdout, "Front-door") == 1 })
}

// What is private is private: the folder, and everything in it that is a secret.
func TestDataFolderIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	startDemo(t, dir, "127.0.0.1:0")
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	for _, file := range []string{"demo/super-key", "demo/doors.json"} {
		info, err := os.Stat(filepath.Join(dir, file))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
}

// A drain lets a request in flight finish; a second signal does not wait for it.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	d := startDemo(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0")
	holdRequest(t, d)

	start := time.Now()
	d.signal(t, syscall.SIGTERM)
	require.Eventually(t, func() bool {
		response, _ := fetch(t, http.MethodGet, d.ops+"/readyz", nil)
		return response.StatusCode == http.StatusServiceUnavailable
	}, patience, pollEvery)
	require.Eventually(t, func() bool { // the first signal may count for a moment
		select {
		case <-d.exited:
			return true
		default:
			_ = d.cmd.Process.Signal(syscall.SIGTERM) // fails when it has ended
			return false
		}
	}, patience, pollEvery)
	require.Equal(t, 1, d.exit(t))
	require.Less(t, time.Since(start), 5*time.Second, "the drain would have waited longer")
}

// A drain does not wait for ever for a client that does not finish its request.
func TestDrainCutsOffSlowRequests(t *testing.T) {
	t.Parallel()
	d := startDemo(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0", "--drain-timeout", "2s")
	holdRequest(t, d)
	d.signal(t, syscall.SIGTERM)
	require.Equal(t, 0, d.exit(t))
	require.Contains(t, d.stderr(), "cut off")
}

// holdRequest starts a request whose body never comes, and returns when the server waits for it.
func holdRequest(t *testing.T, d *demo) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", d.addr())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	superKey, err := os.ReadFile(filepath.Join(d.dir, "demo", "super-key"))
	require.NoError(t, err)
	_, err = fmt.Fprintf(conn, "POST /locks/101/OpenLock HTTP/1.1\r\nHost: %s\r\nX-API-Key: %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: 20\r\nExpect: 100-continue\r\n\r\n", d.addr(), strings.TrimSpace(string(superKey)))
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line, "the handler reads the body")
}
