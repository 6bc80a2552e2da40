package postgres_test

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// cut is when a connection is cut.
type cut int

const (
	afterAnswer cut = iota // PostgreSQL has answered, but the answer gets lost
	afterSend              // PostgreSQL has the statement, or is about to have it
	inMidSend              // PostgreSQL has half of it
	cuts

	silence // PostgreSQL has answered, but nothing comes, not even an end of the connection
)

// proxy stands between a journal and PostgreSQL, and cuts the connection on which it sees a certain text.
type proxy struct {
	net.Listener
	server string
	wg     sync.WaitGroup

	mu    sync.Mutex
	text  []byte
	when  cut
	conns map[net.Conn]bool
}

func newProxy(t testing.TB, server string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{Listener: l, server: server, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = p.Close()
		p.cutAll()
		p.wg.Wait()
	})
	return p
}

// arm cuts the connection on which the text goes to the server next. It is disarmed then.
func (p *proxy) arm(text string, when cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text, p.when = []byte(text), when
}

// cutAll cuts all connections.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *proxy) fires(data []byte) (when cut, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text == nil || !bytes.Contains(data, p.text) {
		return 0, false
	}
	p.text = nil
	return p.when, true
}

func (p *proxy) accept() {
	for {
		client, err := p.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		mute := make(chan cut, 1) // how the next answer is kept from passing
		p.wg.Go(func() { p.forward(client, server, mute) })
		p.wg.Go(func() { p.back(client, server, mute) })
	}
}

// forward carries what the client says, until it is cut.
func (p *proxy) forward(client, server net.Conn, mute chan cut) {
	buffer := make([]byte, 1<<20)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		data := buffer[:n]
		when, fires := p.fires(data)
		if fires && when == inMidSend {
			data = data[:n/2]
		}
		loses := fires && (when == afterAnswer || when == silence)
		if loses {
			mute <- when
		}
		if _, err := server.Write(data); err != nil || fires && !loses {
			break
		}
	}
	p.drop(client, server)
}

// back carries what the server says.
func (p *proxy) back(client, server net.Conn, mute chan cut) {
	buffer := make([]byte, 64<<10)
	silent := false
	for {
		n, err := server.Read(buffer)
		if err != nil {
			break
		}
		select {
		case when := <-mute:
			if silent = when == silence; !silent {
				p.drop(client, server)
				return
			}
		default:
		}
		if silent {
			continue
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			break
		}
	}
	p.drop(client, server)
}

func (p *proxy) drop(both ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range both {
		_ = c.Close()
		delete(p.conns, c)
	}
}
