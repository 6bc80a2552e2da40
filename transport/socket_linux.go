package transport

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

const tcpUserTimeout = 0x12 // TCP_USER_TIMEOUT, which package syscall does not name

// setUserTimeout lets the kernel give up a connection whose bytes were not acknowledged for so long. Without it an open
// could sit in the send buffer of a dead path for minutes and then arrive.
func setUserTimeout(c *net.TCPConn, d time.Duration) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(d.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}

// rawOf gives the socket itself, to read and write without waiting, if nothing lies between it and the connection.
func rawOf(c net.Conn) syscall.RawConn {
	tcp, plain := c.(*net.TCPConn)
	if !plain {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// writeNow writes what the socket takes at once, and tells how much that was. Errors are left to the next write that
// waits: it meets them too.
func writeNow(raw syscall.RawConn, b []byte) (n int) {
	_ = raw.Write(func(fd uintptr) bool {
		n, _ = syscall.Write(int(fd), b)
		return true // whatever came of it: do not wait
	})
	return max(n, 0)
}

// readNow reads what has come. Nothing has while done is false.
func readNow(fd uintptr, b []byte) (n int, done bool, err error) {
	for {
		n, err = syscall.Read(int(fd), b)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0, false, nil
		case err == nil && n == 0:
			err = io.EOF
		}
		return max(n, 0), true, err
	}
}
