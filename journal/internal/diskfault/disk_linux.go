package diskfault

import (
	"os"
	"syscall"
	"time"
)

func datasync(file *os.File) error { return syscall.Fdatasync(int(file.Fd())) }

// sleep blocks the thread, as a disk does, and not only the goroutine.
func sleep(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	for d > 0 && syscall.Nanosleep(&left, &left) == syscall.EINTR {
	}
}
