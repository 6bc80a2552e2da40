//go:build !linux

package transport

import (
	"net"
	"time"
)

// setUserTimeout does nothing where the system has no such limit: the device's own deadline has to do.
func setUserTimeout(*net.TCPConn, time.Duration) error { return nil }
