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
	"sync/atomic"
	"time"
)

const (
	// defaultGOGC lets the heap grow to five times what is alive before it is collected: a small heap costs little memory
	// that way, and a collection is dear beside the little that an open does. From mostGarbage on a larger heap is collected
	// earlier, down to leastGOGC; the limit below makes both safe.
	defaultGOGC = 400
	leastGOGC   = 100
	mostGarbage = 256 << 20
	// crowdGOGC is for the time in which many connections come to stay, crowd of them in a second. What a connection needs for good would
	// lie scattered among what its handshake has thrown away, and keep that memory from the machine for ever; with an early
	// collection the next connection fills the gaps.
	crowdGOGC = 50
	crowd     = 300
	// memoryShare of what the process may use is the soft limit of the Go runtime; the rest is for what the runtime
	// does not count, above all the page cache of the journal.
	memoryShare = 0.75
)

const (
	lookEvery = time.Second
	// A server is at rest while it allocates less than this a second, for so many looks. Then what is a quarter over what is
	// alive, and worth the trouble, is given back to the machine: the heap that a burst of work has left would stay for ever
	// otherwise.
	restBytes    = 4 << 20
	restLooks    = 5
	worthTrouble = 8 << 20
)

// connected is how many connections have come to this process and were not closed by the HTTP server; those of devices only come. There
// is one count of them, as there is one garbage collector.
var connected atomic.Int64

// TuneMemory sets the garbage collector for a server, until ctx ends. GOGC and GOMEMLIMIT win when they are set.
func TuneMemory(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") == "" {
		if available := availableMemory("/"); available > 0 {
			debug.SetMemoryLimit(int64(float64(available) * memoryShare))
		}
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(defaultGOGC)
		go keepMemoryLow(ctx)
	}
}

// keepMemoryLow looks every now and then whether the server is in a crowd, or rests on memory that it does not need.
func keepMemoryLow(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	before, given := readHeap(), heap{}
	percent, rested := defaultGOGC, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := readHeap()
		if want := now.percent(before); want != percent {
			percent = want
			debug.SetGCPercent(percent)
		}
		if rested++; !now.rests(before) {
			rested = 0
		}
		if rested >= restLooks && now.spare(given) {
			debug.FreeOSMemory()
			now = readHeap()
			given, rested = now, 0
		}
		before = now
	}
}

// heap is what the Go runtime says of its heap, in bytes, and what connected was.
type heap struct {
	allocated uint64 // since the start
	held      uint64 // memory of the machine's
	live      uint64 // at the last collection
	connected int64
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heap{allocated: value(0), live: value(1), held: value(2) + value(3) + value(4), connected: connected.Load()}
}

// percent is what GOGC should be.
func (h heap) percent(before heap) int {
	if h.connected-before.connected >= crowd {
		return crowdGOGC
	}
	// In whole hundreds, since each change stops the world for a moment.
	return min(max(leastGOGC, int(mostGarbage/max(h.live, 1))*100), defaultGOGC)
}

// rests tells whether the server has done next to nothing since before.
func (h heap) rests(before heap) bool { return h.allocated-before.allocated < restBytes }

// spare tells whether the server holds much more than it needs, and something has changed since that was given back last:
// a collection cannot move what lies scattered.
func (h heap) spare(given heap) bool {
	much := h.held > h.live+max(h.live/4, worthTrouble)
	return much && (h.held > given.held+worthTrouble || h.live+worthTrouble < given.live)
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
