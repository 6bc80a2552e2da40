package app

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// defaultGOGC lets the heap grow to five times what is alive before it is collected: a server of many idle locks
	// collects seldom. The limit below makes that safe.
	defaultGOGC = 400
	// memoryShare of what the process may use is the soft limit of the Go runtime; the rest is for what the runtime
	// does not count, above all the page cache of the journal.
	memoryShare = 0.75
)

// TuneMemory sets the garbage collector for a server. GOGC and GOMEMLIMIT win when they are set.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(defaultGOGC)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		if available := availableMemory("/"); available > 0 {
			debug.SetMemoryLimit(int64(float64(available) * memoryShare))
		}
	}
}

// availableMemory is the least of the machine's memory and the limits of the process's control groups, in bytes;
// 0 when the kernel does not say.
func availableMemory(root string) int64 {
	least := machineMemory(filepath.Join(root, "proc/meminfo"))
	group, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	path, ok := strings.CutPrefix(strings.TrimSpace(string(group)), "0::") // version 2; absent otherwise
	for ok {
		limit, err := os.ReadFile(filepath.Join(root, "sys/fs/cgroup", path, "memory.max"))
		if n, parseErr := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil && parseErr == nil && (least == 0 || n < least) {
			least = n
		}
		if path == "/" || path == "." {
			break
		}
		path = filepath.Dir(path)
	}
	return least
}

func machineMemory(path string) int64 {
	content, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || fields[0] != "MemTotal:" {
			continue
		}
		kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil || kilobytes > math.MaxInt64/1024 {
			return 0
		}
		return kilobytes * 1024
	}
	return 0
}
