package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startWait = 30 * time.Second
	stopWait  = 30 * time.Second
)

// process is a server under test, in a process of its own so that its CPU and memory are its own.
type process struct {
	name  string // in the progress
	fleet *fleet // its devices, under load
	cmd   *exec.Cmd
	log   *bytes.Buffer
	url   string // of the API
	ops   string // of metrics and health; empty: it has none
	done  chan error
}

// start runs this very program with args and waits until it answers at url+ready.
func start(ctx context.Context, url, ops, ready string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, args...), log: new(bytes.Buffer), url: url, ops: ops, done: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = withParent()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.done <- p.cmd.Wait() }()
	deadline := time.Now().Add(startWait)
	for time.Now().Before(deadline) {
		if resp, err := http.Get(ready); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		select {
		case err := <-p.done:
			return nil, fmt.Errorf("bench: %s ended before it was ready: %w\n%s", args[0], err, p.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
	_ = p.cmd.Process.Kill()
	return nil, fmt.Errorf("bench: %s was not ready within %s\n%s", args[0], startWait, p.log)
}

func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		return err
	case <-time.After(stopWait):
		_ = p.cmd.Process.Kill()
		return fmt.Errorf("bench: a server did not stop within %s", stopWait)
	}
}

// resident is the memory of a process in bytes: its own, and the pages of files (its program, above all) that it has touched.
type resident struct{ own, files int64 }

func (r resident) total() int64 { return r.own + r.files }

func (p *process) resident() (resident, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return resident{}, err
	}
	own, err1 := kibibytes(status, "RssAnon:")
	files, err2 := kibibytes(status, "RssFile:")
	return resident{own, files}, errors.Join(err1, err2)
}

func kibibytes(status []byte, name string) (int64, error) {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("bench: no %s in the status of a process", name)
}

// freeAddr finds a loopback address that is free now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
