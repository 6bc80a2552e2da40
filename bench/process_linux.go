package bench

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// withParent ends a server with the benchmark, however that ends.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// cpu is the user and system time that the process has used.
func (p *process) cpu() (time.Duration, error) {
	const scheduled = 2 // the clock that counts nanoseconds, of those that a process has; see clock_getcpuclockid(3)
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid)<<3|scheduled, &used); err != nil {
		return 0, fmt.Errorf("bench: the CPU time of a server: %w", err)
	}
	return time.Duration(used.Nano()), nil
}
