package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// dripEvery is the time between two bytes of a dripper.
	dripEvery = 2 * time.Second
	// dripRamp is how many drippers come in a second.
	dripRamp = 1_000
	// dripSlack is how much later than it should a connection may end here: server and drippers share the machine.
	dripSlack = 10 * time.Second
)

// drip is a way to hold a connection for as long as the server allows.
type drip struct {
	name   string
	begins string        // is said at once
	awaits string        // is answered before the dripping begins
	drips  string        // is said byte by byte then, again and again; empty: nothing more is said
	reads  int           // reads byte by byte instead, of so many bytes that were asked for
	ends   time.Duration // after which the server ends it
	told   string        // is among the last that the server says; empty: nothing is
}

// ended is how a connection ended.
type ended struct {
	kind *drip
	took time.Duration
	err  error // that it ended otherwise than it should have
}

// drippers are connections that drip, each of which is made again when the server has ended it.
type drippers struct {
	addr  string
	pause time.Duration // before it is made again

	mu   sync.Mutex // guards ends
	ends []ended
}

// run keeps connections of these kinds until ctx ends, and returns when the server has ended all of them.
func (d *drippers) run(ctx context.Context, kinds []*drip) {
	var all sync.WaitGroup
	for i, kind := range kinds {
		all.Go(func() {
			if !pause(ctx, time.Duration(i)*time.Second/dripRamp) {
				return
			}
			for ctx.Err() == nil {
				e := kind.once(d.addr, i)
				d.mu.Lock()
				d.ends = append(d.ends, e)
				d.mu.Unlock()
				pause(ctx, d.pause)
			}
		})
	}
	all.Wait()
}

// once makes one connection, from one of many addresses, and drips until it is over.
func (d *drip) once(addr string, n int) ended {
	from := &net.TCPAddr{IP: net.IPv4(127, 9, byte(n>>8), byte(n))}
	began := time.Now()
	dialer := &net.Dialer{LocalAddr: from, Timeout: patience}
	if d.reads > 0 {
		dialer.Control = takeLittle
	}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		return ended{d, 0, err}
	}
	defer conn.Close()
	switch {
	case d.reads > 0:
		err = d.read(conn.(*net.TCPConn))
	case d.awaits != "":
		if err = d.await(conn); err == nil {
			err = d.drip(conn)
		}
	default:
		if _, err = io.WriteString(conn, d.begins); err == nil {
			err = d.drip(conn)
		}
	}
	took := time.Since(began)
	if err == nil && (took < d.ends || took > d.ends+dripSlack) {
		err = fmt.Errorf("should have been %s", d.ends)
	}
	return ended{d, took, err}
}

// takeLittle lets the kernel keep little of what comes in.
func takeLittle(_, _ string, raw syscall.RawConn) (err error) {
	const kept = 4 << 10
	failed := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, kept) })
	return errors.Join(failed, err)
}

// await says the beginning, and waits for its answer.
func (d *drip) await(conn net.Conn) error {
	if _, err := io.WriteString(conn, d.begins); err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	said := make([]byte, 0, 512)
	for !strings.HasSuffix(string(said), "\r\n\r\n") {
		n, err := conn.Read(said[len(said) : len(said)+1]) // no byte of what follows
		if said = said[:len(said)+n]; err != nil || len(said) == cap(said) {
			return fmt.Errorf("the server says %q: %w", said, err)
		}
	}
	if !strings.Contains(string(said), d.awaits) {
		return fmt.Errorf("the server says %q", said)
	}
	return nil
}

// drip writes byte by byte until the server closes the connection.
func (d *drip) drip(conn net.Conn) error {
	var said strings.Builder
	var part [512]byte
	began := time.Now()
	for i := 0; time.Since(began) < patience; i++ {
		_ = conn.SetReadDeadline(began.Add(time.Duration(i+1) * dripEvery))
		n, err := conn.Read(part[:])
		said.Write(part[:n])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && d.drips != "":
			_, _ = conn.Write([]byte{d.drips[i%len(d.drips)]}) // the next read tells what came of it
		case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
		case !strings.Contains(said.String(), d.told) || d.told == "" && said.Len() > 0:
			return fmt.Errorf("the server said %q", said.String())
		default:
			return nil
		}
	}
	return errors.New("the server lets it drip")
}

// read reads a byte at a time for as long as the server waits for that, and then all that there is: which must not be all
// that was asked for.
func (d *drip) read(conn *net.TCPConn) error {
	if _, err := io.WriteString(conn, d.begins); err != nil {
		return err
	}
	var one [1]byte
	read := 0
	for until := time.Now().Add(d.ends + 3*dripEvery); time.Now().Before(until); {
		<-time.After(dripEvery)
		n, err := conn.Read(one[:])
		if read += n; err != nil {
			return nil
		}
	}
	_ = conn.SetReadBuffer(1 << 20)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	rest, err := io.Copy(io.Discard, conn)
	if read += int(rest); errors.Is(err, os.ErrDeadlineExceeded) || read >= d.reads {
		return fmt.Errorf("the server goes on after %d of %d bytes: %w", read, d.reads, err)
	}
	return nil
}

// require checks that all ended as they should, and tells how long each kind took.
func (d *drippers) require(t *testing.T) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	took := make(map[string][]time.Duration)
	wrong := make(map[string]int)
	for _, e := range d.ends {
		took[e.kind.name] = append(took[e.kind.name], e.took)
		if e.err == nil {
			continue
		}
		if wrong[e.kind.name]++; wrong[e.kind.name] <= 3 {
			t.Errorf("%s: ended after %s: %v", e.kind.name, e.took.Round(time.Millisecond), e.err)
		}
	}
	for name, all := range took {
		t.Logf("%s: %d ended after %s (p50), %s (p99), %s at most; %d not as they should", name, len(all),
			at100(all, 50).Round(time.Millisecond), at100(all, 99).Round(time.Millisecond), at100(all, 100).Round(time.Millisecond), wrong[name])
	}
}
