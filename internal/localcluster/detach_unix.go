//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// detach keeps a Ctrl-C in the terminal from the servers: this process tells them to stop.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
