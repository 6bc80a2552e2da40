// Package tests runs the real program in processes of its own and looks at it from outside: HTTP, signals, exit codes.
package tests

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The longest that a process may take for something that it does in a second on an idle machine.
const patience = time.Minute

// pollEvery is how often a test looks at what a process does not tell by itself.
const pollEvery = 50 * time.Millisecond

// binary is the program, built as the tests are: with the race detector when they have it. A race in the program
// ends it with a code of its own, which no test takes for a good one.
var binary string

// forUse is the program without the race detector, for what is measured and compared: with it other things are cheap, and dear.
var forUse func() (string, error)

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == etcdChild {
		runEtcd()
		return
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "latchkey-tests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "latchkey")
	if err := build(binary, buildFlags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	forUse = sync.OnceValues(func() (string, error) {
		program := filepath.Join(dir, "for-use", "latchkey")
		return program, build(program)
	})
	return m.Run()
}

func build(program string, flags ...string) error {
	args := append([]string{"build", "-o", program}, flags...)
	said, err := exec.Command("go", append(args, "github.com/latchkey/latchkey/cmd/latchkey")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build: %w\n%s", err, said)
	}
	return nil
}

// process is one running program.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}

	mu    sync.Mutex // guards what follows
	out   strings.Builder
	err   strings.Builder
	wrote chan struct{} // closed, and made anew, with each line of output
}

// launch starts the program. It is killed when the test ends, unless it has ended by itself.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	return run(t, exec.Command(binary, args...))
}

// run starts a command in the same way.
func run(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, exited: make(chan struct{}), wrote: make(chan struct{})}
	p.cmd.Dir = t.TempDir()
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	var readers sync.WaitGroup
	readers.Go(func() { p.read(stdout, &p.out) })
	readers.Go(func() { p.read(stderr, &p.err) })
	go func() {
		readers.Wait()
		_ = p.cmd.Wait() // the exit code is in ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%v\nstdout:\n%s\nstderr:\n%s", cmd.Args, p.stdout(), p.stderr())
		}
	})
	return p
}

func (p *process) read(r io.Reader, to *strings.Builder) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		p.mu.Lock()
		to.WriteString(lines.Text() + "\n")
		close(p.wrote)
		p.wrote = make(chan struct{})
		p.mu.Unlock()
	}
}

func (p *process) stdout() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err.String()
}

// waitFor waits until found says yes to what the process has written.
func (p *process) waitFor(t *testing.T, what string, found func(stdout, stderr string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		p.mu.Lock()
		ok, wrote := found(p.out.String(), p.err.String()), p.wrote
		p.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-wrote:
		case <-p.exited:
			require.True(t, found(p.stdout(), p.stderr()), "the process ended with %s before %s", p.cmd.ProcessState, what)
			return
		case <-ctx.Done():
			require.Fail(t, "waited too long", what)
		}
	}
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(s))
}

// exit waits for the end and returns the code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		require.Fail(t, "the process does not end")
		return -1
	}
}

// kill ends the process with signal 9 and waits until it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails when it has ended already
	<-p.exited
}
