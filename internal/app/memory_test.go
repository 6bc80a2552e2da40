package app

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestAvailableMemory(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known": {nil, 0},
		"the machine alone": {map[string]string{
			"proc/meminfo": "MemTotal:    2048 kB\nMemFree: 1 kB\n", "proc/self/cgroup": "0::/\n",
		}, 2048 << 10},
		"a limit of a group above": {map[string]string{
			"proc/meminfo": "MemTotal: 2048 kB\n", "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/memory.max": "1048576\n", "sys/fs/cgroup/a/b/memory.max": "max\n",
		}, 1 << 20},
		"a limit above what there is": {map[string]string{
			"proc/meminfo": "MemTotal: 1 kB\n", "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1048576\n",
		}, 1024},
		"control groups of version 1": {map[string]string{
			"proc/meminfo": "MemTotal: 4 kB\n", "proc/self/cgroup": "12:memory:/x\n1:cpu:/x\n",
		}, 4096},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			for path, content := range c.files {
				path = filepath.Join(root, path)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), privateFolder))
				require.NoError(t, os.WriteFile(path, []byte(content), privateFile))
			}
			require.Equal(t, c.want, availableMemory(root))
		})
	}
}

func TestSpareMemory(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for name, c := range map[string]struct {
		now, given heap
		want       bool
	}{
		"rests on what a burst has left": {heap{live: 50 * mb, held: 250 * mb}, heap{}, true},
		"holds what it needs":            {heap{live: 50 * mb, held: 60 * mb}, heap{}, false},
		"is small":                       {heap{live: 4 * mb, held: 11 * mb}, heap{}, false},
		"cannot give more":               {heap{live: 50 * mb, held: 80 * mb}, heap{live: 50 * mb, held: 80 * mb}, false},
		"has grown since":                {heap{live: 50 * mb, held: 99 * mb}, heap{live: 50 * mb, held: 80 * mb}, true},
		"needs less since":               {heap{live: 30 * mb, held: 80 * mb}, heap{live: 50 * mb, held: 80 * mb}, true},
		"has grown by what it needs":     {heap{live: 90 * mb, held: 99 * mb}, heap{live: 50 * mb, held: 80 * mb}, false},
		"has grown by next to nothing":   {heap{live: 50 * mb, held: 81 * mb}, heap{live: 50 * mb, held: 80 * mb}, false},
	} {
		require.Equal(t, c.want, c.now.spare(c.given), name)
	}
	require.True(t, heap{allocated: 101 * mb}.rests(heap{allocated: 100 * mb}))
	require.False(t, heap{allocated: 105 * mb}.rests(heap{allocated: 100 * mb}))
	require.NotZero(t, readHeap().allocated)
	require.NotZero(t, readHeap().held)
}

func TestHeapIsTightInACrowd(t *testing.T) {
	t.Parallel()
	require.Equal(t, defaultGOGC, heap{connected: 10_000}.percent(heap{connected: 10_000}))
	require.Equal(t, defaultGOGC, heap{connected: 10_256}.percent(heap{connected: 10_000}), "256 callers")
	require.Equal(t, crowdGOGC, heap{connected: 10_300}.percent(heap{connected: 10_000}))

	before, bound := readHeap(), newCallers(0, 0, prometheus.NewRegistry())
	for range 2 * crowd { // other tests have theirs closed meanwhile
		conn, _ := net.Pipe()
		bound.changed(conn, http.StateNew)
		bound.changed(conn, http.StateActive) // which it may be again and again
	}
	require.Equal(t, crowdGOGC, readHeap().percent(before))

	before = readHeap()
	for range 2 * crowd { // of a proxy that makes one for each request
		conn, _ := net.Pipe()
		bound.changed(conn, http.StateNew)
		bound.changed(conn, http.StateClosed)
	}
	require.Equal(t, defaultGOGC, readHeap().percent(before))
}

func TestLargeHeapsAreCollectedEarlier(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for live, want := range map[uint64]int{0: 400, 10 * mb: 400, 64 * mb: 400, 65 * mb: 300, 86 * mb: 200, 128 * mb: 200, 129 * mb: 100, 9_000 * mb: 100} {
		require.Equal(t, want, heap{live: live}.percent(heap{}), "%d MB", live/mb)
		require.LessOrEqual(t, live*uint64(want)/100, max(mostGarbage, live))
	}
}
