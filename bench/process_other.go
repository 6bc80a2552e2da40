//go:build !linux

package bench

import (
	"errors"
	"syscall"
	"time"
)

// withParent can promise nothing here: a benchmark that is killed may leave a server behind.
func withParent() *syscall.SysProcAttr { return nil }

func (p *process) cpu() (time.Duration, error) { return 0, errors.New("bench: it needs Linux") }
