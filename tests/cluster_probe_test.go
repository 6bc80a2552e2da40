package tests

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey/latchkey/lock"
	"github.com/latchkey/latchkey/sim"
)

const (
	probesOfNode = 4
	probeEvery   = 300 * time.Millisecond
	firstProbe   = 1000 // the numbers of the locks that are probed

	untouchedShare = 0.99 // of the opens that a fault elsewhere must leave alone
	healedWithin   = 15 * time.Second

	// probeWait is how long the server waits for a device before it answers.
	probeWait = 3 * time.Second

	// probeSlack is what a probe is late by itself: it opens now and then, and its motor takes a moment.
	probeSlack = probeEvery + 200*time.Millisecond
)

// probe opens one lock again and again, always by the same node, to which the lock's device is connected too.
type probe struct {
	at     *node
	id     lock.ID
	device *sim.Device

	mu    sync.Mutex
	opens []*probed
}

type probed struct {
	asked, answered time.Time // answered is zero until then
	opened          bool
	what            string
}

// probes begin to open doors by each node until the test ends, or stop is called.
func (c *cluster) probes(t *testing.T) (all []*probe, stop func()) {
	t.Helper()
	creds, err := sim.Provision(t.Context(), sim.ProvisionOptions{
		Server: c.url, SuperKey: c.superKey, Count: probesOfNode * len(c.nodes), FirstID: firstProbe, Client: c.web,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for i, cred := range creds {
		p := &probe{at: c.nodes[i%len(c.nodes)], id: lock.ID(cred.LockID)}
		p.device = c.device(t, cred.Credential, connectsTo(p.at))
		connect(t, p.device)
		all = append(all, p)
		running.Go(func() { p.run(ctx, t.Context()) })
	}
	return all, func() { cancel(); running.Wait() }
}

// run opens until the day is over. Each open is a new request, which nobody repeats, and none waits for the one before it: that may
// have been on its way to its device when a node died, and its caller hears only some seconds later that nobody knows its end.
func (p *probe) run(day, night context.Context) {
	var asked sync.WaitGroup
	defer asked.Wait()
	for i := 0; pause(day, probeEvery); i++ {
		asked.Go(func() { p.open(night, fmt.Sprintf("probe-%s-%d", p.id, i)) })
	}
}

func (p *probe) open(ctx context.Context, request string) {
	o := &probed{asked: time.Now(), what: "no answer"}
	p.mu.Lock()
	p.opens = append(p.opens, o)
	p.mu.Unlock()
	a, err := p.at.act(ctx, false, act{kind: openLock, lock: p.id, request: lock.RequestID(request)}, http.MethodPost,
		fmt.Sprintf("/locks/%s/OpenLock", p.id), map[string]any{"requestId": request})
	p.mu.Lock()
	defer p.mu.Unlock()
	o.answered = time.Now()
	if err != nil {
		o.what = err.Error()
	} else {
		o.opened, o.what = lock.Outcome(a.said().Outcome) == lock.Opened, fmt.Sprintf("%d %s", a.status, a.body)
	}
}

// took is how long it was, or has been, until the answer. The mutex is held.
func (o *probed) took() time.Duration {
	if o.answered.IsZero() {
		return time.Since(o.asked)
	}
	return o.answered.Sub(o.asked)
}

// between counts the opens that were asked for in a while, and those of them that opened; it also tells what some of the
// others said.
func between(probes []*probe, from, to time.Time) (asked, opened int, others []string) {
	for _, p := range probes {
		p.mu.Lock()
		for _, o := range p.opens {
			young := o.answered.IsZero() && time.Since(o.asked) < probeWait
			if o.asked.Before(from) || !o.asked.Before(to) || young {
				continue
			}
			asked++
			if o.opened {
				opened++
			} else if len(others) < 5 {
				others = append(others, fmt.Sprintf("lock %s by %s at %s, %s: %s", p.id, p.at.name, o.asked.Format(clockFormat), o.took(), o.what))
			}
		}
		p.mu.Unlock()
	}
	return asked, opened, others
}

// slowest is how long the slowest open took that was asked for in a while: what the machine alone may make of one, when the
// probes are those that a fault leaves alone.
func slowest(probes []*probe, from, to time.Time) (most time.Duration) {
	for _, p := range probes {
		p.mu.Lock()
		for _, o := range p.opens {
			if !o.asked.Before(from) && o.asked.Before(to) {
				most = max(most, o.took())
			}
		}
		p.mu.Unlock()
	}
	return most
}

// openedSince is when a lock opened for the first time for somebody who asked after an instant.
func (p *probe) openedSince(since time.Time) (first time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.opens {
		if o.opened && o.asked.After(since) && (!ok || o.answered.Before(first)) {
			first, ok = o.answered, true
		}
	}
	return first, ok
}

// mustOpenAgain waits until every lock has opened since an instant, and tells when the last one had.
func mustOpenAgain(t *testing.T, probes []*probe, since time.Time) (last time.Time) {
	t.Helper()
	for _, p := range probes {
		var at time.Time
		require.Eventually(t, func() (ok bool) {
			at, ok = p.openedSince(since)
			return ok
		}, patience, pollEvery, "lock %s does not open by %s", p.id, p.at.name)
		if at.After(last) {
			last = at
		}
	}
	return last
}

// ids are the locks of probes.
func ids(probes []*probe) (all []lock.ID) {
	for _, p := range probes {
		all = append(all, p.id)
	}
	return all
}
