package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const homeFile = "server.id"

// home returns the name of the data folder, which is made once, and keeps other servers out of the folder. So whoever has this name has
// been this server: it may take the place of its former life in the cluster, and of nobody else.
func (a *App) home() (string, error) {
	path := filepath.Join(a.options.Config.DataDir, homeFile)
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeDurably(path, []byte(rand.Text()+"\n")); err != nil {
			return a.noHome(err), nil
		}
		file, err = os.Open(path)
	}
	if err != nil {
		return "", fmt.Errorf("--data-dir: %w", err)
	}
	a.onStop(func(context.Context) error { return file.Close() })
	switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return "", fmt.Errorf("--data-dir: another server has this folder: lock %s: %w", path, err)
	case err != nil: // a file system without locks
		return a.noHome(err), nil
	}
	name, err := io.ReadAll(file)
	return strings.TrimSpace(string(name)), err
}

// noHome is a name that nobody has had. A member keeps nothing else in its data folder that it needs, so it works without one that can be
// written and locked.
func (a *App) noHome(err error) string {
	a.logger.Warn("the data folder cannot be written and locked, so this server does not know its former life: killed, it may only come back at "+
		"its address after its lease", "error", err)
	return rand.Text()
}
