package tests

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	checkEvery   = 50 * time.Millisecond
	checkTimeout = time.Second
	drainDelay   = time.Second // many checks, also on a machine that has other things to do
	drainTimeout = 20 * time.Second
)

// front does what a load balancer does: it asks each node's /readyz, leaves out who is not ready, and takes turns. What certainly
// was not executed it sends to the next node: a connection that was refused, and 503 with Retry-After. Everything else is the
// client's, and is noted when it is no proper answer.
type front struct {
	t     *testing.T
	nodes []*behindFront
	next  http.RoundTripper
	turn  atomic.Uint64
	sent  atomic.Int64
	again atomic.Int64

	mu       sync.Mutex
	failures []string
}

type behindFront struct {
	*node
	ops string // known before the node runs, and the same after a restart
	out atomic.Bool
}

// watch asks a node for its health until ctx is done.
func (b *behindFront) watch(ctx context.Context) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: checkTimeout}
	for pause(ctx, checkEvery) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.ops+"/readyz", nil)
		if err != nil {
			return
		}
		response, err := client.Do(request)
		if err == nil {
			_ = response.Body.Close()
		}
		b.out.Store(err != nil || response.StatusCode != http.StatusOK)
	}
}

// RoundTrip implements http.RoundTripper.
func (f *front) RoundTrip(r *http.Request) (response *http.Response, err error) {
	if r.URL.Host != balancedHost {
		return f.next.RoundTrip(r)
	}
	f.sent.Add(1)
	first := int(f.turn.Add(1))
	for i := range 2 * len(f.nodes) {
		b := f.nodes[(first+i)%len(f.nodes)]
		if b.out.Load() && i < len(f.nodes) { // when nobody is ready, whoever is there is asked
			continue
		}
		attempt := r.Clone(r.Context())
		attempt.URL.Host, attempt.Host = strings.TrimPrefix(b.url, "http://"), ""
		if r.GetBody != nil {
			if attempt.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
		}
		response, err = f.next.RoundTrip(attempt)
		if !safeToSendAgain(response, err) {
			f.judge(b, r, response, err)
			return response, err
		}
		f.again.Add(1)
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}
	f.note(nil, r, "no node takes it: %v", err)
	return nil, errors.New("no node takes it")
}

func safeToSendAgain(response *http.Response, err error) bool {
	if err != nil {
		failed := (*net.OpError)(nil)
		return errors.As(err, &failed) && failed.Op == "dial"
	}
	return response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != ""
}

func (f *front) judge(b *behindFront, r *http.Request, response *http.Response, err error) {
	switch {
	case err != nil && r.Context().Err() == nil:
		f.note(b, r, "%v", err)
	case err == nil && response.StatusCode >= 500 && response.StatusCode != http.StatusBadGateway: // that is the word of a lock
		f.note(b, r, "%s", response.Status)
	}
}

func (f *front) note(b *behindFront, r *http.Request, format string, args ...any) {
	name := "all nodes"
	if b != nil {
		name = b.name
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = append(f.failures, fmt.Sprintf("%s %s %s at %s: %s", time.Now().Format("15:04:05.000"), r.Method, r.URL.Path, name, fmt.Sprintf(format, args...)))
}

// behind puts a front before nodes that are started with these arguments.
func (c *cluster) behindFront(t *testing.T, size int, args ...string) *front {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(transport.CloseIdleConnections)
	f := &front{t: t, next: transport}
	c.web = newClient(f)
	for i := range size {
		b := &behindFront{ops: quietAddr(t)}
		b.node = c.newNode(t, fmt.Sprintf("node %d", i+1), append([]string{"--ops-addr", b.ops}, args...)...)
		b.start(t)
		f.nodes, c.nodes = append(f.nodes, b), append(c.nodes, b.node)
		go b.watch(t.Context())
	}
	c.awaitMembers(t, size)
	return f
}

// TestRollingRestart restarts every node, one after the other, under load and with certificates between the nodes. Nobody who
// comes through a load balancer notices anything, and nothing that was accepted is lost.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	cert, key, _ := certificate(t)
	c := newClusterOf(t, 0)
	f := c.behindFront(t, clusterNodes, "--cluster-tls-ca", cert, "--cluster-tls-cert", cert, "--cluster-tls-key", key,
		"--drain-delay", drainDelay.String(), "--drain-timeout", drainTimeout.String())
	l := c.use(t)
	for _, b := range f.nodes {
		l.mustFlow(t)
		told := time.Now()
		b.signal(t, syscall.SIGTERM)
		require.Equal(t, 0, b.exit(t), b.stderr())
		took := time.Since(told)
		require.Less(t, took, drainTimeout)
		require.NotContains(t, b.stderr(), "cut off")
		b.start(t)
		require.Eventually(t, func() bool { return !b.out.Load() }, patience, pollEvery, "the front sees it again")
		c.awaitMembers(t, clusterNodes)
		t.Logf("%s was gone after %v, and back after %v", b.name, took.Round(time.Millisecond), time.Since(told).Round(time.Millisecond))
	}
	l.mustFlow(t)
	l.evening()
	l.end(t)
	t.Logf("%d requests, %d sent again", f.sent.Load(), f.again.Load())
	require.Empty(t, f.failures)
}
