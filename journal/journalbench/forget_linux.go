package main

import (
	"errors"
	"os"
	"syscall"
)

const posixFadvDontneed = 4

// forget drops a file, which nobody has open, from the kernel's cache.
func forget(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	err = file.Sync()
	if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, file.Fd(), 0, 0, posixFadvDontneed, 0, 0); errno != 0 {
		err = errors.Join(err, errno)
	}
	return errors.Join(err, file.Close())
}
