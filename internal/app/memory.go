package app

import (
	"bufio"
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

const (
	// defaultGOGC lets the heap grow to five times what is alive before it is collected: a server of many idle locks
	// collects seldom. The limit below makes that safe.
	defaultGOGC = 400
	// memoryShare of what the process may use is the soft limit of the Go runtime; the rest is for what the runtime
	// does not count, above all the page cache of the journal.
	memoryShare = 0.75
)

const (
	// A server is at rest while it allocates less than this a second. Then what is over half of what is alive, and worth
	// the trouble, is given back to the machine: the heap that a burst of work has left would stay for ever otherwise.
	restBytes    = 4 << 20
	restEvery    = 5 * time.Second
	worthTrouble = 16 << 20
)

// TuneMemory sets the garbage collector for a server, until ctx ends. GOGC and GOMEMLIMIT win when they are set.
func TuneMemory(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") == "" {
		if available := availableMemory("/"); available > 0 {
			debug.SetMemoryLimit(int64(float64(available) * memoryShare))
		}
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(defaultGOGC)
		go giveBack(ctx)
	}
}

// giveBack looks now and then whether the server rests on memory that it does not need.
func giveBack(ctx context.Context) {
	tick := time.NewTicker(restEvery)
	defer tick.Stop()
	before := readHeap()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := readHeap()
		if now.spare(before) {
			debug.FreeOSMemory()
			now = readHeap()
		}
		before = now
	}
}

// heap is what the Go runtime says of its heap, in bytes.
type heap struct {
	allocated uint64 // since the start
	held      uint64 // memory of the machine's
	live      uint64 // at the last collection
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heap{allocated: value(0), live: value(1), held: value(2) + value(3) + value(4)}
}

// spare tells whether the server has rested since before, and holds much more than it needs.
func (h heap) spare(before heap) bool {
	rests := h.allocated-before.allocated < restBytes*uint64(restEvery/time.Second)
	return rests && h.held > h.live+max(h.live/2, worthTrouble)
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
