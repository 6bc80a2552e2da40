package transport

import (
	"sync"
	"time"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/transport/wire"
)

// allowance bounds what devices may have stored as events, for one that means harm or has gone mad could fill the disk. It
// is about the device and not its session, or the next session would begin with a new one. Whoever has used little of it
// is not remembered.
type allowance struct {
	mu    sync.Mutex
	until map[lock.ID]time.Duration // when all that was stored so far is allowed for, on the clock of elapsed; guarded by mu
}

const (
	perEventByte  = time.Second / wire.EventBytesPerSec
	perEventBurst = wire.EventBurst * perEventByte
)

// take takes the bytes of a call out of the allowance, unless they are too many.
func (a *allowance) take(id lock.ID, bytes int, now time.Duration) bool {
	cost := time.Duration(bytes+wire.EventCallBytes) * perEventByte
	a.mu.Lock()
	defer a.mu.Unlock()
	until := max(a.until[id], now) + cost
	if until-now > perEventBurst {
		return false
	}
	if a.until == nil {
		a.until = make(map[lock.ID]time.Duration)
	}
	a.until[id] = until
	return true
}

// forget drops what has no effect any more.
func (a *allowance) forget(now time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, until := range a.until {
		if until <= now {
			delete(a.until, id)
		}
	}
	if len(a.until) == 0 {
		a.until = nil
	}
}
