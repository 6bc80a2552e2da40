package cluster_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/latchkey/latchkey/internal/abreast"
	"github.com/latchkey/latchkey/internal/keyring"
	"github.com/latchkey/latchkey/internal/lateness"
)

// Several nodes are several processes: gRPC and protoactor have state that is the process's. A child is this test binary
// again, told by childEnv what to be; it takes one order a line and gives one report a line.
const childEnv = "LATCHKEY_CLUSTER_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		abreast.Tests()
		goleak.VerifyTestMain(m)
	case "etcd":
		runEtcd()
	case "node":
		runNode()
	}
}

// setup is what a child is started with.
type setup struct {
	Dir, Addr string // of etcd; a node may have an address, too
	Etcd      string // endpoint for a node
	LeaseTTL  time.Duration
	Delay     time.Duration // of the watch
	TLS       keyring.Files

	EtcdTLS                keyring.Files
	EtcdUser, EtcdPassword string
	StartTimeout           time.Duration
}

type order struct {
	Op      string        `json:"op"`
	Key     string        `json:"key,omitempty"`
	Keys    int           `json:"keys,omitempty"`
	Times   int           `json:"times,omitempty"`
	Workers int           `json:"workers,omitempty"`
	Timeout time.Duration `json:"timeout,omitempty"`
	Size    int           `json:"size,omitempty"`  // of a request, at least
	Again   bool          `json:"again,omitempty"` // send again when the outcome is unknown, as callers with idempotency keys do
}

type report struct {
	ID, Addr   string
	Members    []string
	Identities []string       // that have a live activation here
	Owners     map[string]int // grains by the node that answered
	Told       int
	Heard      int
	Asked      int           // requests that stay unanswered
	Late       int           // the most requests that one activation has begun although its node knew that it is another's
	Evictions  int           // changes of the members that moved grains away
	Evicting   time.Duration // until these were gone, in all
	Heap       uint64        // bytes in use
	Waiting    float64
	Cut        float64 // members that it does not reach
	Expiry     float64 // of the certificate that other nodes see
	Requests   int
	Failed     int // of which the outcome is known: not executed
	Busy       int // of these, refused at once
	Unknown    int
	Errors     []string // the first few
	Slowest    time.Duration
	Ready      string
	Lost       bool
}

// process is a child as its parent sees it.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	hello report
}

func command(what string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what, "GORACE=halt_on_error=1")
	return cmd
}

// refused starts a node that ends at once, and returns what it says.
func refused(t testing.TB, s setup) string {
	t.Helper()
	line, err := json.Marshal(s)
	require.NoError(t, err)
	cmd := command("node")
	cmd.Stdin = bytes.NewReader(append(line, '\n'))
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, string(said))
	return string(said)
}

func spawn(t testing.TB, what string, s setup) *process {
	t.Helper()
	p := launch(t, what, s, t.Output())
	p.hello = p.receive()
	return p
}

// launch does not wait until the child is there.
func launch(t testing.TB, what string, s setup, stderr io.Writer) *process {
	t.Helper()
	p := &process{t: t, cmd: command(what)}
	p.cmd.Stderr = stderr
	var err error
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(p.kill)
	require.NoError(t, json.NewEncoder(p.in).Encode(s))
	return p
}

func (p *process) tell(o order) report {
	p.t.Helper()
	require.NoError(p.t, json.NewEncoder(p.in).Encode(o))
	return p.receive()
}

func (p *process) receive() (r report) {
	p.t.Helper()
	line, err := p.out.ReadBytes('\n')
	require.NoError(p.t, err)
	require.NoError(p.t, json.Unmarshal(line, &r))
	return r
}

func (p *process) state() report {
	p.t.Helper()
	return p.tell(order{Op: "state"})
}

// watch looks at how long it waits for processors.
func (p *process) watch() *lateness.Watch { return lateness.Start(p.cmd.Process.Pid) }

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// freeze stops the process without a word, until thaw.
func (p *process) freeze() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGSTOP))
	var status syscall.WaitStatus
	_, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WUNTRACED, nil) // a process takes a moment to stop
	require.NoError(p.t, err)
	require.True(p.t, status.Stopped())
}

func (p *process) thaw() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGCONT))
}

// awaitRequests waits until the load has sent n more.
func (p *process) awaitRequests(n int) {
	p.t.Helper()
	n += p.tell(order{Op: "progress"}).Requests
	require.Eventually(p.t, func() bool { return p.tell(order{Op: "progress"}).Requests >= n }, 15*time.Second, 5*time.Millisecond)
}

func (p *process) awaitMembers(n int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return len(p.state().Members) == n }, 15*time.Second, 5*time.Millisecond)
}
