package cluster

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// farAway is how long everything takes to etcd for members that are far from it.
const farAway = 20 * time.Millisecond

// TestMembersThatJoinTogether has members join within the time that a watch takes to reach etcd after the list was read: each
// must be seen by all, whatever it was that told.
func TestMembersThatJoinTogether(t *testing.T) {
	t.Parallel()
	const members = 8
	etcd := startEtcdServer(t)
	peers := make([]*peer, members)
	var ids []string
	for i := range peers {
		ids = append(ids, fmt.Sprintf("m%d", i+1))
		peers[i] = newPeerAt(t, slowClient(t, etcd.addr), ids[i], Options{})
	}
	var joining sync.WaitGroup
	for i, p := range peers {
		joining.Go(func() {
			<-time.After(time.Duration(i) * farAway / 2) // so that each meets the others at every step
			if err := p.start(t.Context()); err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(p.die)
		})
	}
	joining.Wait()
	for _, p := range peers {
		p.awaits(strings.Join(ids, " "))
	}
}

// slowClient reaches etcd through a link on which every piece of a request takes a while.
func slowClient(t *testing.T, target string) *clientv3.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var links sync.WaitGroup
	links.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				_ = in.Close()
				continue
			}
			links.Go(func() { _, _ = io.Copy(late{out}, in); _, _ = in.Close(), out.Close() })
			links.Go(func() { _, _ = io.Copy(in, out); _, _ = in.Close(), out.Close() })
		}
	})
	client := (&etcdServer{t: t, addr: listener.Addr().String()}).client()
	t.Cleanup(func() {
		_ = client.Close()
		_ = listener.Close()
		links.Wait()
	})
	return client
}

// late is a connection whose bytes take a while.
type late struct{ net.Conn }

func (l late) Write(b []byte) (int, error) {
	<-time.After(farAway)
	return l.Conn.Write(b)
}
