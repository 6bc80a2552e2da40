// Package slack has the kernel wake this process's timers up to some milliseconds late.
//
// While a program does anything, the monitor of Go's runtime sleeps for 20 us at a time, with the kernel's usual slack of 50 us,
// to see whether a system call takes long. If one does, the runtime takes the processor away from it, and wakes another thread
// that can use it. A server whose journal syncs a file a thousand times a second pays for that at each commit, and again when
// the thread that was in the system call looks for a processor. With this slack a sync is over before the monitor has looked
// twice: docs/adr/0026-cost-of-an-open.md has what that is worth. Nothing that we promise is measured in such short times.
package slack

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// usual is the slack that Linux gives every process. Who finds another one leaves it: the operator has chosen it.
	usual = 50 * time.Microsecond
	// ours is more than a sync takes on nearly all disks.
	ours = 4 * time.Millisecond
)

// Take sets the slack. It has to be called before anything is begun, since for that the program starts anew: a thread has the slack
// of the one that started it, and the runtime's threads are there already. Then it does not return. The process keeps its ID
// and all that it was started with.
func Take() error {
	second()
	if now, err := slack(); err != nil || now != usual {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("slack: %w", err)
	}
	runtime.LockOSThread() // it is this thread that goes on
	defer runtime.UnlockOSThread()
	if err := set(ours); err != nil {
		return err
	}
	if now, err := slack(); err != nil || now != ours {
		return err // not a kernel that keeps it: the new program would start anew as well
	}
	err = syscall.Exec(self, os.Args, os.Environ())
	_ = set(usual)
	return fmt.Errorf("slack: starting %s anew: %w", self, err)
}

// slack is that of the thread.
func slack() (time.Duration, error) {
	ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return 0, fmt.Errorf("slack: %w", err)
	}
	return time.Duration(ns), nil
}

func set(d time.Duration) error {
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(d), 0, 0, 0); err != nil {
		return fmt.Errorf("slack: %w", err)
	}
	return nil
}

// second gives a process that has one processor a second one, unless the operator has chosen their number: a sync that takes long
// keeps its processor for some milliseconds now, and the rest goes on with the other.
func second() {
	if runtime.GOMAXPROCS(0) == 1 && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2)
	}
}
