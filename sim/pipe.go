package sim

import (
	"net"
	"sync"
)

const (
	heldMax   = 1 << 20 // bytes that one direction of one connection holds
	pipeChunk = 4 << 10
)

// held is what one direction has taken from its sender and not delivered yet.
type held struct {
	mu    sync.Mutex
	buf   []byte
	err   error         // how the sender ended, once it did
	more  chan struct{} // capacity 1: something was added
	space chan struct{} // capacity 1: something was taken
}

// pipe carries one direction of a link until its end.
func (p *Proxy) pipe(l *link, way int, from, to *net.TCPConn) {
	h := &held{more: make(chan struct{}, 1), space: make(chan struct{}, 1)}
	var taker sync.WaitGroup
	taker.Go(func() { p.take(l, way, from, h) })
	defer taker.Wait()
	for {
		if !p.await(l, way, func(m mode) bool { return m == flowing }) {
			return
		}
		h.mu.Lock()
		buf, err := h.buf, h.err
		h.buf = nil
		h.mu.Unlock()
		signal(h.space)
		if len(buf) > 0 {
			if _, werr := to.Write(buf); werr != nil {
				l.reset()
				return
			}
			continue
		}
		if isReset(err) {
			l.reset()
			return
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
		select {
		case <-h.more:
		case <-l.done:
			return
		}
	}
}

// take reads the sender into h. A reset by the sender destroys what is held, unless the proxy plays a middlebox.
func (p *Proxy) take(l *link, way int, from *net.TCPConn, h *held) {
	chunk := make([]byte, pipeChunk)
	for {
		if !p.await(l, way, func(m mode) bool { return m != stalled }) {
			return
		}
		n, err := from.Read(chunk)
		p.mu.Lock()
		destroy := isReset(err) && !p.deliverAfterReset
		p.mu.Unlock()
		h.mu.Lock()
		h.buf = append(h.buf, chunk[:n]...)
		if destroy {
			h.buf = nil
		}
		h.err = err
		full := len(h.buf) >= heldMax
		h.mu.Unlock()
		signal(h.more)
		if err != nil {
			return
		}
		for full {
			select {
			case <-h.space:
			case <-l.done:
				return
			}
			h.mu.Lock()
			full = len(h.buf) >= heldMax
			h.mu.Unlock()
		}
	}
}

// await blocks until the direction's mode is as wanted. It reports false when the link was reset.
func (p *Proxy) await(l *link, way int, wanted func(mode) bool) bool {
	for {
		m, changed := p.state(way)
		if wanted(m) {
			return true
		}
		select {
		case <-changed:
		case <-l.done:
			return false
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
