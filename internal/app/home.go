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
			return "", fmt.Errorf("--data-dir: %w", err)
		}
		file, err = os.Open(path)
	}
	if err != nil {
		return "", fmt.Errorf("--data-dir: %w", err)
	}
	a.onStop(func(context.Context) error { return file.Close() })
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return "", fmt.Errorf("--data-dir: another server has this folder: lock %s: %w", path, err)
	}
	name, err := io.ReadAll(file)
	return strings.TrimSpace(string(name)), err
}
