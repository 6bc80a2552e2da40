package tests

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/cluster/embedded"
)

// The etcd of a cluster is a process of its own, so that it can be killed and frozen: this test binary again, told by childEnv
// what to be. It ends with its standard input, so that it does not outlive a test that was killed.
const (
	childEnv  = "LATCHKEY_TESTS_CHILD"
	etcdChild = "etcd"
)

func runEtcd() {
	server, err := embedded.Start(context.Background(), embedded.Options{
		Dir: os.Args[1], ClientAddr: os.Args[2], Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("serving", server.Endpoint())
	_, _ = io.Copy(io.Discard, os.Stdin)
	server.Close()
}

// etcd is an etcd that can be killed, and started again on the same data and address.
type etcd struct {
	*process
	dir, addr string
}

func startEtcd(t *testing.T) *etcd {
	t.Helper()
	e := &etcd{dir: filepath.Join(t.TempDir(), "etcd"), addr: quietAddr(t)}
	e.start(t)
	return e
}

func (e *etcd) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(os.Args[0], e.dir, e.addr)
	cmd.Env = append(os.Environ(), childEnv+"="+etcdChild)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = in.Close() })
	e.process = run(t, cmd)
	e.waitFor(t, "etcd serves", func(stdout, _ string) bool { return strings.Contains(stdout, "serving") })
}
