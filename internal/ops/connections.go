package ops

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// connections bounds those that are open. They take files of those that guests and devices need, so there are only so many; and the one that
// has asked for nothing for longest makes room for a new one, or whoever holds them all would take /livez away.
type connections struct {
	mu   sync.Mutex
	open map[net.Conn]*list.Element // nil: a request of it is being answered
	rest *list.List                 // of net.Conn, those that rest, the longest first
}

func newConnections() *connections {
	return &connections{open: make(map[net.Conn]*list.Element), rest: list.New()}
}

// follow is the server's ConnState.
func (c *connections) follow(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at := c.open[conn]; at != nil {
		c.rest.Remove(at)
	}
	switch state {
	case http.StateActive:
		c.open[conn] = nil
		return
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		return
	}
	c.open[conn] = c.rest.PushBack(conn)
	if len(c.open) <= maxConnections {
		return
	}
	longest := c.rest.Remove(c.rest.Front()).(net.Conn)
	delete(c.open, longest)
	_ = longest.Close() // nobody waits for it
}
