package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport"
	"github.com/latchkey/latchkey/transport/wire"
)

// serverProcess makes the test binary a server with a hub, so that its memory can be measured alone. Its value is the
// scheme of the server.
const serverProcess = "LATCHKEY_TRANSPORT_SERVER"

// BenchmarkIdleConnections measures the resident memory of the server for each connected and idle device, with its
// socket and without its grain. The devices are in this process.
func BenchmarkIdleConnections(b *testing.B) {
	const devices = 10_000
	for _, scheme := range []string{"http", "https"} {
		b.Run(scheme, func(b *testing.B) {
			server := startServer(b, scheme)
			for range 100 { // what is there once is not counted
				idleDevice(b, server.url)
			}
			before := server.ask(b).Resident
			b.ResetTimer()
			for range devices {
				idleDevice(b, server.url)
			}
			b.StopTimer()
			b.ReportMetric(float64(server.ask(b).Resident-before)/devices, "B/device")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/devices, "us/connect")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// idleDevice connects one device, which is greeted and sends a heartbeat.
func idleDevice(b testing.TB, url string) {
	// The server is our own child, with a certificate that nobody has signed.
	dialer := websocket.Dialer{Subprotocols: []string{wire.Subprotocol}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, resp, err := dialer.Dial("ws"+url[len("http"):]+"/devices/"+string(device)+"/connect", credentials(device, secret))
	require.NoError(b, err)
	_ = resp.Body.Close()
	conn := ws.NetConn()
	b.Cleanup(func() { _ = conn.Close() })
	converse(b, ws, wire.ActionHello, &wire.Hello{BootID: "b7", Mono: 1, Firmware: "1.4.2", Reported: wire.Reported{Bolt: "locked", Door: "closed", Battery: 78}})
	converse(b, ws, wire.ActionHeartbeat, &wire.Heartbeat{Mono: 2})
}

// converse makes a call, and waits for its answer.
func converse(b testing.TB, ws *websocket.Conn, action string, p wire.Payload) {
	require.NoError(b, ws.WriteMessage(websocket.TextMessage, wire.AppendCall(nil, "1", action, p)))
	_, answer, err := ws.ReadMessage()
	require.NoError(b, err)
	f, err := wire.ParseFrame(answer)
	require.NoError(b, err)
	require.Equal(b, wire.Result, f.Kind)
}

// child is a server in a process of its own. Every line that it gets it answers with its memory.
type child struct {
	url string
	in  io.Writer
	out *bufio.Reader
}

func startServer(b testing.TB, scheme string) *child {
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), serverProcess+"="+scheme)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	c := &child{in: in, out: bufio.NewReader(out)}
	url, err := c.out.ReadString('\n')
	require.NoError(b, err)
	c.url = strings.TrimSpace(url)
	return c
}

// memory is what the child tells of itself, in bytes.
type memory struct{ Resident, Stacks int }

func (c *child) ask(b testing.TB) (m memory) {
	_, err := fmt.Fprintln(c.in)
	require.NoError(b, err)
	line, err := c.out.ReadBytes('\n')
	require.NoError(b, err)
	require.NoError(b, json.Unmarshal(line, &m))
	return m
}

// lonely grains greet and forget.
type lonely struct{ *grains }

func (lonely) Do(_ context.Context, _ lock.ID, c lock.Command) (lock.Reply, error) {
	if _, ok := c.(*lock.ConnectDevice); ok {
		return &lock.Greeting{}, nil
	}
	return &lock.Done{}, nil
}

func (lonely) Tell(lock.ID, lock.Command) {}
func (lonely) Home(lock.ID) string        { return "" }

// serve runs until its standard input ends.
func serve(scheme string) error {
	hub, err := transport.New(transport.Options{Grains: lonely{new(grains)}, Node: node})
	if err != nil {
		return err
	}
	defer hub.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /devices/{lockUuid}/connect", hub)
	server := httptest.NewUnstartedServer(mux)
	server.Listener, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if scheme == "https" {
		server.StartTLS()
	} else {
		server.Start()
	}
	defer server.Close()
	fmt.Println(server.URL)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		n, err := resident()
		if err != nil {
			return err
		}
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		if err := json.NewEncoder(os.Stdout).Encode(memory{n, int(stats.StackInuse)}); err != nil {
			return err
		}
	}
	return nil
}

// resident gives the memory that is really in use, once the garbage of the handshakes is gone.
func resident() (int, error) {
	debug.FreeOSMemory()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(kb)[0])
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS in /proc/self/status")
}
