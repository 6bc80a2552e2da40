//go:build faults

package tests

import (
	endian "encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/internal/dose"
)

// No process can be given a wall clock of its own, and nothing in the product is there to be told a wrong time. So the program is
// built with another standard library, whose time.Now adds what a file says to the wall clock, and leaves the monotonic one
// alone. That compiles everything anew, which is why this fault is not in `make test`.
const (
	clockVariable = "LATCHKEY_TESTS_CLOCK_OFFSET"
	clockAnchor   = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {\n		return Time{uint64(nsec), sec + unixToInternal, Local}"
	clockOffset   = `package time

import (
	"syscall"
	"unsafe"
)

// clockOffset is in a file that is mapped, so that it changes while the program runs.
var clockOffset = func() *int64 {
	name, _ := syscall.Getenv("` + clockVariable + `")
	file, err := syscall.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		return new(int64)
	}
	defer syscall.Close(file)
	bytes, err := syscall.Mmap(file, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return new(int64)
	}
	return (*int64)(unsafe.Pointer(&bytes[0]))
}()
`
)

// A wallClock is what one node reads, and how wrong it is.
type wallClock struct{ file string }

// newClock gives a node a clock that is right. It reads it from its next start on.
func newClock(t *testing.T, n *node, program string) *wallClock {
	t.Helper()
	c := &wallClock{file: filepath.Join(t.TempDir(), "clock")}
	c.set(t, 0)
	n.program, n.env = program, []string{clockVariable + "=" + c.file}
	return c
}

func (c *wallClock) set(t *testing.T, offset time.Duration) {
	t.Helper()
	f, err := os.OpenFile(c.file, os.O_WRONLY|os.O_CREATE, 0o600) // not another file, nor an empty one: this one is mapped
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt(endian.NativeEndian.AppendUint64(nil, uint64(offset/time.Second)), 0)
	require.NoError(t, err)
}

// buildWithOffset builds the program with such a clock.
func buildWithOffset(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	require.NoError(t, err)
	library := filepath.Join(strings.TrimSpace(string(out)), "src", "time")
	source, err := os.ReadFile(filepath.Join(library, "time.go"))
	require.NoError(t, err)
	require.Contains(t, string(source), clockAnchor, "time.Now is another one")
	changed := strings.Replace(string(source), clockAnchor, strings.Replace(clockAnchor, "\n", "\n	if clockOffset != nil {\n		sec += *clockOffset\n	}\n", 1), 1)
	dir := t.TempDir()
	replace := make(map[string]string)
	for name, content := range map[string]string{"time.go": changed, "offset.go": clockOffset} {
		replace[filepath.Join(library, name)] = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600))
	program := filepath.Join(dir, "latchkey")
	said, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program,
		"github.com/latchkey/latchkey/cmd/latchkey").CombinedOutput()
	require.NoError(t, err, string(said))
	return program
}

// Bar: the clock of one node is ten minutes ahead, or behind. No motor moves late, no key opens too often, and the locks open.
func TestClusterWithAWrongClock(t *testing.T) {
	t.Parallel()
	program := buildWithOffset(t)
	c := newCluster(t)
	probes, stop := c.probes(t)
	l := c.use(t)
	for i := range dose.Of(2, 20) {
		l.mustFlow(t)
		n := c.nodes[l.random.IntN(len(c.nodes))]
		offset := 10 * time.Minute
		if i%2 == 1 {
			offset = -offset
		}
		n.kill()
		newClock(t, n, program).set(t, offset)
		n.start(t)
		require.True(t, time.Until(n.saysItIs(t)).Abs() > offset.Abs()/2, "its clock is wrong")
		c.awaitMembers(t, clusterNodes)
		began := time.Now()
		mustOpenAgain(t, probes, began)
		l.mustFlow(t)
		require.True(t, pause(t.Context(), 10*time.Second))
		asked, opened, others := between(probes, time.Now().Add(-9*time.Second), time.Now().Add(-time.Second))
		t.Logf("%5.1f s: the clock of %s is wrong by %s: %d of %d opens", began.Sub(l.began).Seconds(), n.name, offset, opened, asked)
		require.GreaterOrEqual(t, float64(opened), untouchedShare*float64(asked), "%v", others)
		n.kill()
		n.program, n.env = "", nil
		n.start(t)
		c.awaitMembers(t, clusterNodes)
	}
	stop()
	c.clocksDiffer = true
	l.end(t)
}

// Bar: the clock of one node jumps ahead and is set right again. It has heard of etcd all the while, and says so; a member that is
// killed after that is gone for it when its lease has ended.
func TestClusterAfterAJumpOfAClock(t *testing.T) {
	t.Parallel()
	const jump = 10 * time.Minute
	program := buildWithOffset(t)
	c := newClusterOf(t, clusterNodes)
	n, other := c.nodes[0], c.nodes[1]
	clock := newClock(t, n, program)
	for _, n := range c.nodes {
		n.start(t)
	}
	c.awaitMembers(t, clusterNodes)
	heardEtcd := func() {
		for end := time.Now().Add(leaseTTL); time.Now().Before(end); { // some renewals
			silence, ok := n.metric(t.Context(), "latchkey_cluster_etcd_silence_seconds")
			require.True(t, ok)
			require.GreaterOrEqual(t, silence, 0.0)
			require.Less(t, silence, leaseTTL.Seconds())
			require.True(t, pause(t.Context(), pollEvery))
		}
	}
	clock.set(t, jump)
	heardEtcd()
	clock.set(t, 0)
	heardEtcd()
	other.kill()
	c.awaitMembers(t, clusterNodes-1, n)
	other.start(t)
	c.awaitMembers(t, clusterNodes)
	c.conclude(t)
}

// saysItIs is the time in the last line of a node's log.
func (n *node) saysItIs(t *testing.T) time.Time {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(n.stderr()), "\n")
	_, text, ok := strings.Cut(lines[len(lines)-1], "time=")
	require.True(t, ok)
	at, err := time.Parse(time.RFC3339Nano, strings.Fields(text)[0])
	require.NoError(t, err, fmt.Sprint(lines))
	return at
}
