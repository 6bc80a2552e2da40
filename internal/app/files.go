package app

import (
	"syscall"

	"github.com/latchkey/latchkey/transport"
)

// A process has only so many files, and a socket is one. Devices get most of them, and the rest is kept for what must go on
// when all the world connects: the journal, guests, and above all the operator, who would see nothing at all otherwise.
const (
	sharedFiles = 8  // one of so many is kept
	leastShared = 64 // and never fewer than these
)

// openFiles is how many files this process may have open. The Go runtime has raised the limit as far as it may be.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return transport.DefaultMaxSessions
	}
	return uint64(limit.Cur) //nolint:unconvert // it is signed on some systems
}

// maxSessions is how many devices may be connected to a process with so many files.
func maxSessions(files uint64) int {
	kept := max(files/sharedFiles, leastShared)
	if files <= kept {
		return 1
	}
	return int(min(files-kept, transport.DefaultMaxSessions))
}
