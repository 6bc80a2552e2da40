package app

import (
	"os"
	"path/filepath"
	"testing"

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
	before := heap{allocated: 100 * mb}
	for name, c := range map[string]struct {
		now  heap
		want bool
	}{
		"rests on what a burst has left": {heap{allocated: 101 * mb, live: 50 * mb, held: 250 * mb}, true},
		"works":                          {heap{allocated: 200 * mb, live: 50 * mb, held: 250 * mb}, false},
		"holds what it needs":            {heap{allocated: 101 * mb, live: 50 * mb, held: 70 * mb}, false},
		"is small":                       {heap{allocated: 101 * mb, live: 4 * mb, held: 15 * mb}, false},
	} {
		require.Equal(t, c.want, c.now.spare(before), name)
	}
	require.NotZero(t, readHeap().allocated)
	require.NotZero(t, readHeap().held)
}
