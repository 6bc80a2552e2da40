package transport

import (
	"sync"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

// arrivals are the sockets that have not said Hello. A device has one session, but it begins with the Hello, so that one
// secret could fill the server with sockets that never say it. The zero value is ready.
type arrivals struct {
	mu sync.Mutex
	of map[lock.ID]int // guarded by mu
}

// enter counts a socket of a lock's device, unless there are too many.
func (a *arrivals) enter(id lock.ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of[id] >= wire.MaxArrivals {
		return false
	}
	if a.of == nil {
		a.of = make(map[lock.ID]int)
	}
	a.of[id]++
	return true
}

// leave counts it no more.
func (a *arrivals) leave(id lock.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of[id] > 1 {
		a.of[id]--
		return
	}
	delete(a.of, id)
}
