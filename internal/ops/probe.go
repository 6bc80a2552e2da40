package ops

import (
	"context"
	"errors"
	"sync"
	"time"
)

// probeGrace is for a probe that ends with its context to say what it has waited for.
const probeGrace = 250 * time.Millisecond

var errNoAnswer = errors.New("it does not answer")

// check is a dependency with the probe of it that runs. There is one at a time, which all who ask meanwhile wait for: those that hang would
// pile up with every scrape.
type check struct {
	Check
	mu      sync.Mutex
	running *probe // guarded by mu; nil: none
}

// probe is one look at a dependency.
type probe struct {
	ended chan struct{}
	err   error // set before ended is closed
}

// begin starts a probe, or gives the one that runs.
func (c *check) begin() *probe {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		c.running = &probe{ended: make(chan struct{})}
		go c.run(c.running)
	}
	return c.running
}

func (c *check) run(p *probe) {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout) // and not that of one who asks, for there may be others
	defer cancel()
	p.err = c.Probe(ctx)
	c.mu.Lock()
	c.running = nil
	c.mu.Unlock()
	close(p.ended)
}

// await waits for what a probe found, until ctx ends.
func (p *probe) await(ctx context.Context) error {
	select {
	case <-p.ended:
		return p.err
	case <-ctx.Done():
	}
	select {
	case <-p.ended: // while another one was waited for
		return p.err
	default:
		return errNoAnswer
	}
}
