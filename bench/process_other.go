//go:build !linux

package bench

import "syscall"

// withParent can promise nothing here: a benchmark that is killed may leave a server behind.
func withParent() *syscall.SysProcAttr { return nil }
