package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

// tab is a page of a headless Chromium, driven over its DevTools protocol.
type tab struct {
	ws   *websocket.Conn
	last int
}

var devtoolsPattern = regexp.MustCompile(`DevTools listening on ws://(\S+?)/`)

// startBrowser starts a Chromium of its own and gives its first tab. A machine without one fails the test.
func startBrowser(t *testing.T) *tab {
	t.Helper()
	program, err := exec.LookPath("chromium")
	require.NoError(t, err, "the test needs Chromium; `make tools` installs it")
	cmd := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-extensions", "--no-proxy-server", "--remote-debugging-port=0",
		"--window-size=390,844", "--user-data-dir="+filepath.Join(t.TempDir(), "profile"), "about:blank")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out syncedBuffer
	cmd.Stderr = &out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // with its helpers; fails when it has ended already
		_ = cmd.Wait()                                      // it was killed, which is an error
	})
	require.Eventually(t, func() bool { return devtoolsPattern.MatchString(out.String()) }, patience, pollEvery, "Chromium does not start")
	host := match(t, devtoolsPattern, out.String())

	var targets []struct{ Type, WebSocketDebuggerURL string }
	require.Eventually(t, func() bool {
		_, list := fetch(t, http.MethodGet, "http://"+host+"/json/list", nil)
		return json.Unmarshal([]byte(list), &targets) == nil && len(targets) > 0 && targets[0].Type == "page"
	}, patience, pollEvery, "Chromium has no page")
	ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), targets[0].WebSocketDebuggerURL, nil)
	require.NoError(t, err)
	t.Cleanup(func() { ws.Close() })
	require.NoError(t, ws.SetReadDeadline(time.Now().Add(2*patience)))
	return &tab{ws: ws}
}

// syncedBuffer is what a process writes to while a test reads it.
type syncedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncedBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncedBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// do calls a method of the protocol and waits for its answer; events in between are passed over.
func (b *tab) do(t *testing.T, method string, params any) json.RawMessage {
	t.Helper()
	b.last++
	require.NoError(t, b.ws.WriteJSON(map[string]any{"id": b.last, "method": method, "params": params}))
	for {
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		require.NoError(t, b.ws.ReadJSON(&answer))
		if answer.ID == b.last {
			require.Nil(t, answer.Error, "%s: %v", method, answer.Error)
			return answer.Result
		}
	}
}

// eval evaluates an expression in the page and returns its value; nil while a new page is loading.
func (b *tab) eval(t *testing.T, expression string) any {
	t.Helper()
	var answer struct {
		Result           struct{ Value any }
		ExceptionDetails any
	}
	require.NoError(t, json.Unmarshal(b.do(t, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true}), &answer))
	require.Nil(t, answer.ExceptionDetails, expression)
	return answer.Result.Value
}

// waitFor waits until an expression in the page has a value.
func (b *tab) waitFor(t *testing.T, expression string, value any) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := b.eval(t, expression)
		if got == value {
			return
		}
		require.True(t, time.Now().Before(deadline), "%s stays %v", expression, got)
		pause(t.Context(), pollEvery)
	}
}

// tap presses with a finger what the selector finds, where it is on the screen.
func (b *tab) tap(t *testing.T, selector string) {
	t.Helper()
	var at struct{ X, Y float64 }
	place := fmt.Sprintf(`(() => { const r = document.querySelector(%q).getBoundingClientRect(); return JSON.stringify({x: r.x + r.width / 2, y: r.y + r.height / 2}) })()`, selector)
	require.NoError(t, json.Unmarshal([]byte(b.eval(t, place).(string)), &at))
	for _, event := range []string{"mousePressed", "mouseReleased"} {
		b.do(t, "Input.dispatchMouseEvent", map[string]any{"type": event, "x": at.X, "y": at.Y, "button": "left", "clickCount": 1})
	}
}

// screenshot saves what the page looks like.
func (b *tab) screenshot(t *testing.T, file string) {
	t.Helper()
	var shot struct{ Data string }
	require.NoError(t, json.Unmarshal(b.do(t, "Page.captureScreenshot", map[string]any{"format": "png"}), &shot))
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, data, 0o600))
	picture, err := png.Decode(bytes.NewReader(data))
	require.NoError(t, err)
	colours := make(map[any]bool)
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			colours[picture.At(x, y)] = true
		}
	}
	require.Greater(t, len(colours), 10, "the page is empty")
	t.Logf("screenshot %s of %v, %d colours", file, picture.Bounds().Size(), len(colours))
}

// Bar: a person opens the demo's guest link in a browser, presses the button, and sees that the door opened.
func TestGuestOpensInABrowser(t *testing.T) {
	t.Parallel()
	d := startDemo(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0")
	b := startBrowser(t)
	shots := t.TempDir()

	b.do(t, "Page.navigate", map[string]any{"url": d.links[0]})
	b.waitFor(t, `document.readyState + (document.querySelector('main')?.dataset.status ?? '')`, "completevalid")
	b.screenshot(t, filepath.Join(shots, "key.png"))
	b.tap(t, "form button")

	b.waitFor(t, `document.querySelector('main')?.dataset.outcome ?? ''`, "opened")
	b.waitFor(t, `document.querySelector('h1').innerText`, "Opened")
	b.waitFor(t, `location.pathname.endsWith('/confirmation')`, true)
	b.screenshot(t, filepath.Join(shots, "confirmation.png"))
	d.waitFor(t, "the door opened", func(stdout, _ string) bool { return opened(stdout, "Front-door") == 1 })

	b.do(t, "Page.reload", map[string]any{}) // is no second open
	b.waitFor(t, `document.readyState + (document.querySelector('main')?.dataset.outcome ?? '')`, "completeopened")
	b.tap(t, "a.button")
	b.waitFor(t, `document.querySelector('main')?.dataset.status ?? ''`, "valid")
	count, _ := usedCount(t, d)
	require.Equal(t, 1, count)
	require.Equal(t, 1, opened(d.stdout(), "Front-door"))
	require.Equal(t, strings.TrimPrefix(d.links[0], "http://"+d.addr()), b.eval(t, "location.pathname"))
}

// Bar: a browser that goes back to the key's page shows it as it was, so that the next tap there names the same request. Nobody is told
// to go in by the answer to that; it says how old it is, and its own button opens the door.
func TestGuestGoesBackAndOpensAgain(t *testing.T) {
	t.Parallel()
	d := startDemo(t, filepath.Join(t.TempDir(), "data"), "127.0.0.1:0")
	b := startBrowser(t)
	const field, title = `document.querySelector('[name=requestId]')`, `document.querySelector('h1')?.innerText ?? ''`

	b.do(t, "Page.navigate", map[string]any{"url": d.links[0]})
	b.waitFor(t, `document.readyState + (document.querySelector('main')?.dataset.status ?? '')`, "completevalid")
	kept := b.eval(t, field+".value")
	b.tap(t, "form button")
	b.waitFor(t, title, "Opened")
	b.waitFor(t, title, "Opened earlier") // the page comes again by itself

	b.eval(t, "history.back()")
	b.waitFor(t, `document.readyState + (document.querySelector('main')?.dataset.status ?? '')`, "completevalid")
	t.Logf("the browser has kept the page: %t", kept == b.eval(t, field+".value"))
	b.eval(t, fmt.Sprintf("%s.value = %q", field, kept)) // it may have had no memory for that
	b.tap(t, "form button")
	b.waitFor(t, "document.readyState + "+title, "completeOpened earlier")
	require.NotContains(t, b.eval(t, "document.body.innerText"), "Go in")
	require.Equal(t, 1, opened(d.stdout(), "Front-door"))

	b.tap(t, "form button")
	b.waitFor(t, title, "Opened")
	d.waitFor(t, "the door opened again", func(stdout, _ string) bool { return opened(stdout, "Front-door") == 2 })
	count, _ := usedCount(t, d)
	require.Equal(t, 2, count)
}
