package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
)

// profile starts a CPU profile of our server that ends before the measurement does; what it returns waits for it.
func (r *run) profile(ctx context.Context) (done func() error) {
	ended := make(chan error, 1)
	go func() { ended <- r.saveProfile(ctx) }()
	return func() error { return <-ended }
}

func (r *run) saveProfile(ctx context.Context) error {
	url := fmt.Sprintf("%s/debug/pprof/profile?seconds=%.0f", r.ours.ops, r.profiled().Seconds())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the profile of the server: %s", resp.Status)
	}
	return os.WriteFile(r.Profile, data, 0o600)
}
