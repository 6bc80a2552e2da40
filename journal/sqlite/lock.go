package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// fileLock keeps other processes (and a second Open in this one) away from a data file. It lies in a file of its own,
// since closing a descriptor of the data file would drop the locks that SQLite holds on it. It is a bare descriptor, so
// that only release or the end of the process, however it ends, gives it up.
type fileLock struct{ fd int }

func lockFile(path string) (*fileLock, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // one file has one lock, whatever it is called
	}
	name := path + ".lock"
	fd, err := syscall.Open(name, syscall.O_RDWR|syscall.O_CREAT|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("sqlite journal: open %s: %w", name, err)
	}
	lock := &fileLock{fd}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite journal: %s is in use%s: lock %s: %w", path, lock.holder(), name, err), lock.release())
	}
	pid := fmt.Appendln(nil, os.Getpid())
	if _, err := syscall.Pwrite(fd, pid, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite journal: write %s: %w", name, err), lock.release())
	}
	if err := syscall.Ftruncate(fd, int64(len(pid))); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite journal: write %s: %w", name, err), lock.release())
	}
	return lock, nil
}

// holder says who has the lock, if that can be read.
func (l *fileLock) holder() string {
	var pid [32]byte
	if n, err := syscall.Pread(l.fd, pid[:], 0); err == nil && n > 0 {
		return " by process " + strings.TrimSpace(string(pid[:n]))
	}
	return ""
}

func (l *fileLock) release() error { return syscall.Close(l.fd) }

// makeFile makes an empty data file, readable by its owner only (SQLite gives its other files the same mode), whose
// directory entry is on the disk before anything is promised.
func makeFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil // and no descriptor of it was opened
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return errors.Join(err, file.Close())
	}
	return errors.Join(dir.Sync(), dir.Close(), file.Close())
}
