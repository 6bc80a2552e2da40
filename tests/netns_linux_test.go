package tests

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/latchkey/latchkey/sim"
)

// nowhere is a hardware address that no host has: the switch carries what is sent to it, and nobody takes it.
const nowhere = "02:00:00:00:00:00"

// network is some machines on one switch, made of network namespaces, and this process beside them. They have no names and belong to
// nobody but this process, so they are gone with it however it ends.
type network struct {
	bridge *host
	prefix string // of all addresses
	hosts  int
}

// host is one of the machines.
type host struct {
	ns   *os.File
	addr string
}

// newNetwork makes a network. It reports false when this process may not.
func newNetwork(t *testing.T) (*network, bool) {
	t.Helper()
	ns, err := newNamespace()
	if err == unix.EPERM {
		return nil, false
	}
	require.NoError(t, err)
	t.Cleanup(func() { ns.Close() })
	n := &network{bridge: &host{ns: ns}, hosts: 1}
	n.bridge.ip(t, "link add name switch type bridge")
	n.bridge.ip(t, "link set switch up")

	here, err := os.Open(ownNamespace)
	require.NoError(t, err)
	defer here.Close()
	// The addresses are those for measuring networks, which nobody else has. Another run of this test may have some of them.
	var said []byte
	for _, i := range rand.Perm(256) {
		name := fmt.Sprint("latchkey", i)
		if said, err = n.bridge.try(plug("here", name, here)); err != nil {
			continue
		}
		t.Cleanup(func() { _, _ = try(fmt.Sprint("link delete ", name)) }) // or it takes a moment
		n.bridge.ip(t, "link set here master switch up")
		n.prefix = fmt.Sprintf("198.18.%d.", i)
		for _, command := range []string{"address add " + n.prefix + "1/24 dev " + name, "link set " + name + " up"} {
			said, err := try(command)
			require.NoError(t, err, "ip %s: %s", command, said)
		}
		return n, true
	}
	require.NoError(t, err, "%s", said)
	return nil, false
}

// newHost adds a machine to the network.
func (n *network) newHost(t *testing.T) *host {
	t.Helper()
	ns, err := newNamespace()
	require.NoError(t, err)
	t.Cleanup(func() { ns.Close() })
	n.hosts++
	h := &host{ns: ns, addr: fmt.Sprint(n.prefix, n.hosts)}
	port := fmt.Sprint("port", n.hosts)
	n.bridge.ip(t, plug(port, "eth0", ns))
	n.bridge.ip(t, "link set "+port+" master switch up")
	h.ip(t, "link set lo up")
	h.ip(t, "address add "+h.addr+"/24 dev eth0")
	h.ip(t, "link set eth0 up")
	return h
}

// plug is the command that makes a cable from a port of the switch to an interface elsewhere.
func plug(port, name string, ns *os.File) string {
	return fmt.Sprintf("link add name %s type veth peer name %s netns /proc/%d/fd/%d", port, name, os.Getpid(), ns.Fd())
}

// ip changes something at the machine.
func (h *host) ip(t *testing.T, command string) {
	t.Helper()
	said, err := h.try(command)
	require.NoError(t, err, "ip %s: %s", command, said)
}

func (h *host) try(command string) (said []byte, err error) {
	inside := h.inside(func() { said, err = try(command) })
	if inside != nil {
		return nil, inside
	}
	return said, err
}

func try(command string) ([]byte, error) {
	return exec.Command("ip", strings.Fields(command)...).CombinedOutput()
}

const ownNamespace = "/proc/thread-self/ns/net"

// newNamespace makes a network namespace that lasts as long as the file is open.
func newNamespace() (ns *os.File, err error) {
	away := visit(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() { ns, err = os.Open(ownNamespace) })
	if away != nil {
		return nil, away
	}
	return ns, err
}

// inside runs something at the machine: sockets that it opens and processes that it starts are there.
func (h *host) inside(f func()) error {
	return visit(func() error { return unix.Setns(int(h.ns.Fd()), unix.CLONE_NEWNET) }, f)
}

// visit goes to another namespace, does something there, and comes back.
func visit(leave func() error, f func()) error {
	runtime.LockOSThread()
	home, err := os.Open(ownNamespace)
	if err != nil {
		return err
	}
	defer home.Close()
	if err := leave(); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread() // or the thread ends with its goroutine, and nobody gets lost on it
		}
	}()
	f()
	return nil
}

// cable is all that goes between a machine and some others. What is sent while it is frozen is lost without a word: no reset, no
// refusal, as on a network.
type cable struct {
	t    *testing.T
	near *host
	far  []*host
}

// Freeze loses what is sent in a direction. Up is from the near one.
func (c *cable) Freeze(d sim.Direction) {
	c.each(d, func(from, to *host) {
		from.ip(c.t, "neighbour replace "+to.addr+" lladdr "+nowhere+" dev eth0 nud permanent")
	})
}

// Thaw lets it through again.
func (c *cable) Thaw(d sim.Direction) {
	c.each(d, func(from, to *host) { from.ip(c.t, "neighbour delete "+to.addr+" dev eth0") })
}

// each does something to every way in a direction, to all at once.
func (c *cable) each(d sim.Direction, f func(from, to *host)) {
	var all sync.WaitGroup
	for _, far := range c.far {
		if d&sim.Up != 0 {
			all.Go(func() { f(c.near, far) })
		}
		if d&sim.Down != 0 {
			all.Go(func() { f(far, c.near) })
		}
	}
	all.Wait()
}
