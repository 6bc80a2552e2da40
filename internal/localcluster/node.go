package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	revivedAfter = 20 * time.Second // long enough to see the others take over
	startWithin  = time.Minute
	stopWithin   = 30 * time.Second
	pollEvery    = 200 * time.Millisecond
)

// node is one server, a process that is started again when it was killed.
type node struct {
	name, dir, program string
	http, ops, etcd    string
	environment        []string
	pid                atomic.Int64 // 0 while it is dead
}

func (n *node) log() string { return filepath.Join(n.dir, n.name+".log") }

// keep runs the server until ctx ends.
func (n *node) keep(ctx context.Context) error {
	log, err := os.OpenFile(n.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	for {
		err := n.run(ctx, log)
		if ctx.Err() != nil {
			return nil
		}
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.Exited() {
			return fmt.Errorf("%s ended by itself, see %s: %w", n.name, n.log(), err)
		}
		fmt.Printf("%s  %s was killed; the others take its locks over, and it comes back in %s\n", now(), n.name, revivedAfter)
		select {
		case <-time.After(revivedAfter):
		case <-ctx.Done():
			return nil
		}
	}
}

// run starts the server once and waits for its end. When ctx ends it is asked to stop.
func (n *node) run(ctx context.Context, log *os.File) error {
	cmd := exec.CommandContext(ctx, n.program, "serve", "--data-dir", filepath.Join(n.dir, n.name), "--http-addr", n.http, "--ops-addr", n.ops,
		"--etcd-endpoints", n.etcd)
	cmd.Env, cmd.Stdout, cmd.Stderr = n.environment, log, log
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(syscall.SIGTERM) }, stopWithin
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	n.pid.Store(int64(cmd.Process.Pid))
	defer n.pid.Store(0)
	if err := os.WriteFile(filepath.Join(n.dir, n.name+".pid"), []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return cmd.Wait()
}

// awaitReady waits until the server is ready.
func (n *node) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		if n.ready(ctx) {
			return nil
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return fmt.Errorf("%s does not get ready, see %s", n.name, n.log())
		}
	}
}

func (n *node) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.ops+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func now() string { return time.Now().Format(time.TimeOnly) }
