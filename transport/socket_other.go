//go:build !linux

package transport

import (
	"net"
	"syscall"
	"time"
)

// setUserTimeout does nothing where the system has no such limit: the device's own deadline has to do.
func setUserTimeout(*net.TCPConn, time.Duration) error { return nil }

// rawOf gives nothing: every write may wait, and has a goroutine of its own.
func rawOf(net.Conn) syscall.RawConn { return nil }

func writeNow(syscall.RawConn, []byte) int { return 0 }
