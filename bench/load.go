package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// load calls from `callers` goroutines, each one request after the other, for as long as `period`, and returns how long each
// took. One failed call fails the measurement: a figure with errors in it says nothing.
func load(parent context.Context, callers int, period time.Duration, call func(ctx context.Context, caller int) error) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
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
			for time.Since(begin) < period && ctx.Err() == nil {
				t := time.Now()
				if err := call(ctx, caller); err != nil {
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
	if failed != nil {
		return nil, fmt.Errorf("under load: %w", failed)
	}
	return latencies, context.Cause(parent)
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
