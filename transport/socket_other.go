//go:build !linux

package transport

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// setUserTimeout does nothing where the system has no such limit: the device's own deadline has to do.
func setUserTimeout(*net.TCPConn, time.Duration) error { return nil }

// rawOf gives nothing: every session has a goroutine that reads, and every write one of its own.
func rawOf(net.Conn) syscall.RawConn { return nil }

func writeNow(syscall.RawConn, []byte) int { return 0 }

func readNow(uintptr, []byte) (n int, done bool, err error) { return 0, true, errors.ErrUnsupported }
