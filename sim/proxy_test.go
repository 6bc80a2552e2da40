package sim_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/sim"
	"github.com/latchkey/latchkey/transport/wire"
)

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = f.WriteString(text)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// through makes a connection through a proxy, and gives both ends.
func through(t *testing.T) (p *sim.Proxy, device, server *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	p, err = sim.NewProxy(ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	d, err := net.Dial("tcp", p.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	s, err := ln.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return p, d.(*net.TCPConn), s.(*net.TCPConn)
}

func says(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_, err := c.Write([]byte(text))
	require.NoError(t, err)
}

func hears(t *testing.T, c net.Conn, text string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, len(text))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

func hearsNothing(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	_, err := c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

func hearsReset(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	_, err := c.Read(make([]byte, 1))
	require.True(t, errors.Is(err, syscall.ECONNRESET), "%v", err)
}

func TestProxyHoldsOneDirectionAndDeliversLater(t *testing.T) {
	t.Parallel()
	p, device, server := through(t)
	says(t, device, "a")
	hears(t, server, "a")
	p.Freeze(sim.Down)
	says(t, server, "late ")
	says(t, server, "bytes")
	says(t, device, "b")
	hears(t, server, "b")
	hearsNothing(t, device)
	p.Thaw(sim.Down)
	hears(t, device, "late bytes")
}

func TestProxyHoldsTheEndOfAConnection(t *testing.T) {
	t.Parallel()
	p, device, server := through(t)
	p.Freeze(sim.Both)
	says(t, server, "bye")
	require.NoError(t, server.CloseWrite())
	hearsNothing(t, device)
	p.Thaw(sim.Both)
	hears(t, device, "bye")
	_, err := device.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	says(t, device, "still here")
	hears(t, server, "still here")
}

func TestResetDestroysHeldBytes(t *testing.T) {
	t.Parallel()
	for _, middlebox := range []bool{false, true} {
		p, device, server := through(t)
		p.DeliverAfterReset(middlebox)
		p.Freeze(sim.Both)
		says(t, server, "late")
		require.NoError(t, server.SetLinger(0))
		hearsNothing(t, device) // and gives the proxy the time to take the bytes
		require.NoError(t, server.Close())
		hearsNothing(t, device)
		p.Thaw(sim.Both)
		if middlebox {
			hears(t, device, "late")
		}
		hearsReset(t, device)
	}
}

func TestProxyCutsAndRefuses(t *testing.T) {
	t.Parallel()
	p, device, server := through(t)
	says(t, device, "a")
	hears(t, server, "a")
	p.Freeze(sim.Down)
	says(t, server, "never")
	require.Equal(t, 1, p.Cut())
	hearsReset(t, device)
	hearsReset(t, server)
	p.Refuse(true)
	c, err := net.Dial("tcp", p.Addr())
	if err == nil {
		hearsReset(t, c)
		_ = c.Close()
	}
}

func TestStallClosesTheWindow(t *testing.T) {
	t.Parallel()
	p, device, server := through(t)
	p.Stall(sim.Down)
	chunk := make([]byte, 64<<10)
	_ = server.SetWriteDeadline(time.Now().Add(patience))
	written := 0
	require.Eventually(t, func() bool {
		_ = server.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := server.Write(chunk)
		written += n
		return errors.Is(err, os.ErrDeadlineExceeded)
	}, patience, time.Microsecond)
	p.Thaw(sim.Both)
	_ = device.SetReadDeadline(time.Now().Add(patience))
	_, err := io.CopyN(io.Discard, device, int64(written))
	require.NoError(t, err)
}

func TestOpenThatArrivesAfterTheNetHealedIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p, err := sim.NewProxy(s.http.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	d := s.device(sim.DeviceOptions{Servers: []string{"http://" + p.Addr()}})
	c := s.next()
	p.Freeze(sim.Both)
	order := c.order("c1")
	order.NotAfterMono = d.Mono() + 30
	id := c.post(wire.ActionOpen, &order)
	require.Eventually(t, func() bool { return d.Mono() > order.NotAfterMono }, patience, time.Millisecond)
	p.Thaw(sim.Both)
	require.Equal(t, "Expired false", c.answer(id, "c1"))
	require.Empty(t, d.Movements())

	p.Cut()
	recv(t, c.ended)
	c = s.next()
	require.Equal(t, "opened", c.open(c.order("c2")))
}
