package slack

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// usual is the slack that Linux gives every process. Who finds another one leaves it: the operator has chosen it.
	usual = 50 * time.Microsecond
	// ours is more than a sync takes on a good disk.
	ours = time.Millisecond
)

// Take gives all threads of the process the slack, and so those that they start. A program that is linked with C (as tests with
// the race detector are, and a go build that finds a C compiler) keeps what it has: Go cannot reach all threads of such a one.
func Take() error {
	now, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return fmt.Errorf("slack: %w", err)
	}
	if time.Duration(now) != usual {
		return nil
	}
	_, _, failed := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, uintptr(ours), 0)
	if failed != 0 && !errors.Is(failed, syscall.ENOTSUP) {
		return fmt.Errorf("slack: %w", failed)
	}
	return nil
}
