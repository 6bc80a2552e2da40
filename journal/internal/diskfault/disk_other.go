//go:build !linux

package diskfault

import (
	"os"
	"time"
)

func datasync(file *os.File) error { return file.Sync() }

func sleep(d time.Duration) { time.Sleep(d) }
