package pgtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// errMissing says what to do on a machine without PostgreSQL.
var errMissing = errors.New("pgtest: no PostgreSQL server on this machine: install Debian's package postgresql, or put the folder of initdb and postgres into PATH")

// folders are where packages put the server's binaries, which are usually not in PATH.
var folders = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql@*/bin"}

// binaries finds the folder of the server's programs: that of PATH, or the newest one.
func binaries() (string, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(initdb); err == nil {
			initdb = real // PATH may have links, but the server looks for its other files beside itself
		}
		if has(filepath.Dir(initdb)) {
			return filepath.Dir(initdb), nil
		}
	}
	best, newest := "", -1
	for _, pattern := range folders {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for _, dir := range found {
			if version := major(dir); version > newest && has(dir) {
				best, newest = dir, version
			}
		}
	}
	if best == "" {
		return "", errMissing
	}
	return best, nil
}

// major is the number in a path like /usr/lib/postgresql/17/bin, or 0.
func major(dir string) int {
	digits := strings.Trim(dir, "abcdefghijklmnopqrstuvwxyz/-@")
	n, _ := strconv.Atoi(digits) // 0 when there is none
	return n
}

func has(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// unprivileged is the user that the server runs as when this process is root, whom PostgreSQL refuses; nil: this one.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("pgtest: PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}
