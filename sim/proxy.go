package sim

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Direction is one way through a Proxy.
type Direction int

// The directions. Up is from the devices to the server.
const (
	Up Direction = 1 << iota
	Down
	Both = Up | Down
)

// Proxy is a TCP proxy in this process that stands for a bad network. Unlike a device that merely stops, it can
// hold bytes that were sent already and deliver them minutes later, which is what a healed half-open socket does.
type Proxy struct {
	target string
	ln     net.Listener
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	modes   [2]mode    // of Up and Down
	changed chan struct{}
	links   map[*link]struct{}
	// deliverAfterReset makes bytes on their way outlive a reset by their sender.
	deliverAfterReset bool
	refuse            bool
	closed            bool
}

type mode int

const (
	flowing mode = iota
	frozen       // bytes are taken from the sender and held
	stalled      // bytes are left in the sender, whose window closes
)

// NewProxy listens on a free loopback port and forwards each connection to target, a host:port.
func NewProxy(target string) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, ln: ln, changed: make(chan struct{}), links: make(map[*link]struct{})}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is the host:port to connect to instead of the target.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Freeze takes bytes from the senders in the direction but delivers none, nor the end of a connection, until Thaw.
// Each connection and direction holds up to 1 MiB; then its sender's window closes.
func (p *Proxy) Freeze(d Direction) { p.setMode(d, frozen) }

// Stall stops taking bytes from the senders in the direction, so that they meet a zero window, until Thaw.
func (p *Proxy) Stall(d Direction) { p.setMode(d, stalled) }

// Thaw lets the direction flow again and delivers what was held.
func (p *Proxy) Thaw(d Direction) { p.setMode(d, flowing) }

// DeliverAfterReset chooses what becomes of held bytes when their sender resets the connection: by default they
// die with it, as they would in the sender's kernel; with true they arrive all the same, as behind a middlebox.
func (p *Proxy) DeliverAfterReset(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deliverAfterReset = on
}

// Refuse makes the proxy reset new connections at once.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Cut resets all connections, on both sides, and returns how many there were. Held bytes are lost.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		l.reset()
	}
	return len(links)
}

// Connections is how many connections there are.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Close ends the proxy and resets its connections.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.ln.Close()
	p.Cut()
	p.wg.Wait()
	return err
}

func (p *Proxy) setMode(d Direction, m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.modes {
		if d&(1<<i) != 0 {
			p.modes[i] = m
		}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// state returns the mode of a direction and a channel that is closed at the next change.
func (p *Proxy) state(way int) (mode, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.modes[way], p.changed
}

func (p *Proxy) accept() {
	for {
		device, err := p.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		p.wg.Go(func() { p.serve(device.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(device *net.TCPConn) {
	p.mu.Lock()
	refuse := p.refuse || p.closed
	p.mu.Unlock()
	var server net.Conn
	var err error
	if !refuse {
		server, err = net.Dial("tcp", p.target)
	}
	if refuse || err != nil {
		_ = device.SetLinger(0)
		_ = device.Close()
		return
	}
	l := &link{device: device, server: server.(*net.TCPConn), done: make(chan struct{})}
	p.mu.Lock()
	closed := p.closed
	p.links[l] = struct{}{}
	p.mu.Unlock()
	if closed {
		l.reset()
	}
	var pipes sync.WaitGroup
	pipes.Go(func() { p.pipe(l, 0, l.device, l.server) })
	pipes.Go(func() { p.pipe(l, 1, l.server, l.device) })
	pipes.Wait()
	_ = l.device.Close()
	_ = l.server.Close()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// link is one connection through the proxy.
type link struct {
	device, server *net.TCPConn
	once           sync.Once
	done           chan struct{} // closed by reset
}

func (l *link) reset() {
	l.once.Do(func() {
		close(l.done)
		_ = l.device.SetLinger(0)
		_ = l.server.SetLinger(0)
		_ = l.device.Close()
		_ = l.server.Close()
	})
}

// isReset tells a sender's reset (or our own) from an orderly end.
func isReset(err error) bool { return err != nil && !errors.Is(err, io.EOF) }
