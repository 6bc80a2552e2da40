package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// sample is one measurement of a server under load.
type sample struct {
	ops      int
	took     time.Duration
	cpu      time.Duration
	p50, p99 time.Duration
}

func (s sample) rate() float64         { return float64(s.ops) / s.took.Seconds() }
func (s sample) cpuPer() time.Duration { return s.cpu / time.Duration(max(s.ops, 1)) }

// load calls from `callers` goroutines, each one request after the other, for as long as `period`, and measures the
// server's own CPU meanwhile. One failed call fails the measurement: a figure with errors in it says nothing.
func load(ctx context.Context, p *process, callers int, period time.Duration, call func(ctx context.Context, caller, n int) error) (sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	before, err := p.cpu()
	if err != nil {
		return sample{}, err
	}
	var (
		wg        sync.WaitGroup
		mu        sync.Mutex // guards what follows
		latencies []time.Duration
		failed    error
	)
	begin := time.Now()
	for caller := range callers {
		wg.Go(func() {
			var own []time.Duration
			for n := 0; time.Since(begin) < period && ctx.Err() == nil; n++ {
				t := time.Now()
				if err := call(ctx, caller, n); err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
					cancel()
					return
				}
				own = append(own, time.Since(t))
			}
			mu.Lock()
			latencies = append(latencies, own...)
			mu.Unlock()
		})
	}
	wg.Wait()
	took := time.Since(begin)
	after, err := p.cpu()
	if failed != nil || err != nil {
		return sample{}, fmt.Errorf("bench: under load: %w", errorOf(failed, err))
	}
	slices.Sort(latencies)
	s := sample{ops: len(latencies), took: took, cpu: after - before}
	if s.ops > 0 {
		s.p50, s.p99 = latencies[s.ops/2], latencies[s.ops*99/100]
	}
	return s, nil
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// client makes one HTTP client for all callers of a load.
func client(callers int) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConns: callers, MaxIdleConnsPerHost: callers, MaxConnsPerHost: callers, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       10 * time.Second,
	}
}

// do sends one request and checks the status of its answer.
func do(c *http.Client, r *http.Request, want int) error {
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("%s %s: %s: %s", r.Method, r.URL.Path, resp.Status, body)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func openRequest(ctx context.Context, p *process, key string) (*http.Request, error) {
	return http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/temp-keys/"+key+"/open", nil)
}
