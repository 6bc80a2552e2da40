package cluster_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/latchkey/latchkey/cluster"
	"github.com/latchkey/latchkey/internal/keyring"
)

// batch is one envelope in a batch that can be handled, but for what change does to it.
func batch(change func(*remote.MessageBatch, *remote.MessageEnvelope)) *remote.RemoteMessage {
	e := &remote.MessageEnvelope{}
	b := &remote.MessageBatch{
		TypeNames: []string{"google.protobuf.Empty"}, Targets: []*actor.PID{{Id: "placement-0"}}, Envelopes: []*remote.MessageEnvelope{e},
	}
	change(b, e)
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}
}

// TestPeersMessages has a peer send what cannot be handled, with and without TLS: that connection ends, and nothing else.
func TestPeersMessages(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "ours")
	for name, c := range map[string]struct {
		node keyring.Files
		peer func() credentials.TransportCredentials
	}{
		"plain": {keyring.Files{}, insecure.NewCredentials},
		"TLS": {ours.issue(node()), func() credentials.TransportCredentials {
			files := ours.issue(node())
			return showing(t, &files, 0)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
			n := spawn(t, "node", setup{Etcd: etcd.hello.Addr, TLS: c.node})
			healthy := dialPeer(t, n.hello.Addr, c.peer())
			well, err := healthy.Receive(t.Context())
			require.NoError(t, err)
			for what, broken := range brokenMessages() {
				stream, err := dialPeer(t, n.hello.Addr, c.peer()).Receive(t.Context())
				require.NoError(t, err)
				if err := stream.Send(broken.message); !errors.Is(err, io.EOF) {
					require.NoError(t, err, what)
				}
				_, err = stream.Recv()
				require.Equal(t, broken.code, status.Code(err), "%s: %v", what, err)
			}
			_, err = healthy.ListProcesses(t.Context(), &remote.ListProcessesRequest{})
			require.Equal(t, codes.Internal, status.Code(err), "protoactor declares the call and does not serve it")

			require.NoError(t, well.Send(batch(func(*remote.MessageBatch, *remote.MessageEnvelope) {})), "this connection goes on")
			require.NoError(t, well.CloseSend())
			_, err = well.Recv()
			require.ErrorIs(t, err, io.EOF)
			_, err = connect(t, n.hello.Addr, c.peer())
			require.NoError(t, err)
			require.Empty(t, n.state().Ready)
		})
	}
}

type broken struct {
	message *remote.RemoteMessage
	code    codes.Code
}

func brokenMessages() map[string]broken {
	internal := func(change func(*remote.MessageBatch, *remote.MessageEnvelope)) broken {
		return broken{batch(change), codes.Internal}
	}
	return map[string]broken{
		"unknown type":       internal(func(b *remote.MessageBatch, _ *remote.MessageEnvelope) { b.TypeNames[0] = "no.such.Message" }),
		"no type":            internal(func(_ *remote.MessageBatch, e *remote.MessageEnvelope) { e.TypeId = 1 }),
		"unknown serializer": internal(func(_ *remote.MessageBatch, e *remote.MessageEnvelope) { e.SerializerId = 9 }),
		"no target":          internal(func(_ *remote.MessageBatch, e *remote.MessageEnvelope) { e.Target = 1 }),
		"negative target":    internal(func(_ *remote.MessageBatch, e *remote.MessageEnvelope) { e.Target = -1 }),
		"no sender":          internal(func(_ *remote.MessageBatch, e *remote.MessageEnvelope) { e.Sender = 1 }),
		"no protobuf": {batch(func(_ *remote.MessageBatch, e *remote.MessageEnvelope) {
			e.MessageData = []byte{0xff}
		}), codes.Unknown},
	}
}

func dialPeer(t *testing.T, addr string, how credentials.TransportCredentials) remote.RemotingClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(how))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return remote.NewRemotingClient(conn)
}

// TestStrangersBytes connects to the port of a node without credentials, and says nothing, or something else.
func TestStrangersBytes(t *testing.T) {
	t.Parallel()
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	n := spawn(t, "node", setup{Etcd: etcd.hello.Addr, TLS: newAuthority(t, "ours").issue(node())})
	for _, said := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x7f\xff", string(make([]byte, 1<<16))} {
		conn, err := net.Dial("tcp", n.hello.Addr)
		require.NoError(t, err)
		_, _ = io.WriteString(conn, said) // it may be shown out before it has said all
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		_, err = io.Copy(io.Discard, conn)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is shown out")
		require.NoError(t, conn.Close())
	}
	require.Empty(t, n.state().Ready)
}

// Whoever connects and says nothing makes room for those who came later, so that no number of them takes the files of the process, or
// keeps a node out.
func TestStrangersAreFew(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t, "ours")
	etcd := spawn(t, "etcd", setup{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	n := spawn(t, "node", setup{Etcd: etcd.hello.Addr, TLS: ours.issue(node())})
	files := ours.issue(node())
	shownOut := make(chan struct{}, 3*cluster.MaxStrangers)
	for range cap(shownOut) {
		conn, err := net.Dial("tcp", n.hello.Addr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		go func() { _, _ = io.Copy(io.Discard, conn); shownOut <- struct{}{} }()
	}
	for range cap(shownOut) - cluster.MaxStrangers { // all have been let in by then, so that none comes after the node
		<-shownOut
	}
	_, err := connect(t, n.hello.Addr, showing(t, &files, 0))
	require.NoError(t, err)

	there, enter := make([]net.Conn, cluster.MaxStrangers+2), cluster.Strangers()
	closed := func(i int) bool {
		_ = there[i].SetReadDeadline(time.Now().Add(-time.Second)) // of a pipe that is closed there is none
		_, err := there[i].Read(make([]byte, 1))
		return errors.Is(err, io.EOF)
	}
	var leave []func()
	for i := range there {
		var here net.Conn
		there[i], here = net.Pipe()
		t.Cleanup(func() { _ = here.Close() })
		if i == len(there)-1 {
			leave[1]() // it has shown a certificate
		}
		leave = append(leave, enter(here))
	}
	require.True(t, closed(0), "who has waited longest goes")
	for i := 1; i < len(there); i++ {
		require.False(t, closed(i), "%d", i)
	}
}
