package cluster_test

import (
	"bytes"
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/latchkey/latchkey/cluster"
)

// said is what a child says, while it says it.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *said) count(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), part)
}

// bound takes a port that refuses connections and that nobody else gets.
func bound(t *testing.T) (socket int, addr string) {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	name, err := unix.Getsockname(socket)
	require.NoError(t, err)
	return socket, net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*unix.SockaddrInet4).Port))
}

// TestMemberThatIsNotReached has a member in the list at whose address nobody is: that shows although nobody asks for its grains, in the
// metric and in the log, which is not flooded. When somebody is there, it is over.
func TestMemberThatIsNotReached(t *testing.T) {
	t.Parallel()
	nobody, addr := bound(t) // and nobody listens
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	log := &said{}
	a := launch(t, "node", setup{Etcd: etcd.hello.Addr}, log)
	a.hello = a.receive()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{etcd.hello.Addr}, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	ghost, err := json.Marshal(cluster.Member{ID: "ghost", Addr: addr, Kinds: []string{"grain"}})
	require.NoError(t, err)
	_, err = client.Put(t.Context(), "/latchkey/latchkey/members/ghost", string(ghost))
	require.NoError(t, err)

	require.Eventually(t, func() bool { return a.state().Cut == 1 }, time.Minute, 100*time.Millisecond)
	require.NotZero(t, log.count("connection refused"))
	require.LessOrEqual(t, log.count("address="+addr), 3, "at once, after 5 s, and 10 s after that")

	require.NoError(t, unix.Close(nobody))
	b := spawn(t, "node", setup{Etcd: etcd.hello.Addr, Addr: addr})
	require.Eventually(t, func() bool { return a.state().Cut == 0 }, time.Minute, 100*time.Millisecond)
	a.awaitMembers(2)
	require.Zero(t, b.state().Cut)
}
